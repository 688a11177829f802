#!/usr/bin/python
# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: prune
short_description: Remove what a deployment has gathered and nothing needs
version_added: 0.2.0
author:
  - The diffusion.fleet authors (@diffusion-fleet)
description:
  - Removes worker images, launch template versions, machine images with their snapshots, and smoke queues of a deployment.
  - Whatever the release ledger, the release history that a rollback chooses from, the group, its newest instance refresh, an instance that
    exists or the settings of the hosts name stays, however old it is. So does what such a thing needs in its turn.
  - Of the rest, what is older than O(keep_days) and not among the newest goes.
  - Refused while a release is open. The lock of the releases is held while something is removed, so that none begins meanwhile.
options:
  deployment_id:
    description: The deployment, 2 to 20 lower-case letters, digits and hyphens.
    type: str
    required: true
  kinds:
    description: What is looked at; everything else stays.
    type: list
    elements: str
    choices: [template_versions, images, amis, snapshots, smoke_queues]
    default: [template_versions, images, amis, snapshots, smoke_queues]
  keep_versions:
    description: How many of the newest image versions stay; 1 or more. A deploy makes the launch template version that it needs again.
    type: int
    default: 10
  keep_days:
    description:
      - Images, launch template versions and machine images that are younger than this many days stay.
      - What bears no version may be part of something that is being pushed and stays for a day at least.
    type: int
    default: 30
  keep_amis:
    description: How many of the newest machine images of the deployment stay.
    type: int
    default: 3
  timing:
    description: Seconds, of the lock; give the same as to the releases.
    type: dict
    default: {}
    suboptions:
      poll:
        description: Between two looks at a lock that another run holds.
        type: int
        default: 10
      lock_expiry:
        description: After which a lock that is not renewed may be taken over; this run renews its own after half of it.
        type: int
        default: 60
      lock_watch:
        description: How long a lock is watched at least before it may be taken over.
        type: int
        default: 20
attributes:
  check_mode:
    support: full
    details:
      - Takes no lock, and waits for none.
  diff_mode:
    support: full
  idempotent:
    support: full
extends_documentation_fragment:
  - diffusion.fleet._attributes
  - diffusion.fleet._attributes.actiongroup_fleet
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: diffusion.fleet.release
"""

EXAMPLES = r"""
- name: Remove what nobody needs any more
  diffusion.fleet.prune:
    deployment_id: demo
    keep_versions: 20
    keep_days: 90
"""

RETURN = r"""
removed:
  description: The names of what was removed, or would be in check mode, by kind.
  returned: success, and failure after something was removed
  type: dict
  sample: {"images": ["sha256:3f1c…"], "template_versions": ["7"], "amis": [], "snapshots": [], "smoke_queues": ["0a1b2c3d4e5f"]}
kept:
  description: What stays, by kind, each with the reason.
  returned: success
  type: dict
  sample: {"images": [{"name": "sha256:9b2e…", "label": "image 1.0.0", "why": "stable"}]}
lines:
  description: What was removed, and what AWS has kept, for people.
  returned: success
  type: list
  elements: str
  sample: ["removed: image 0.9.0"]
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._prune.run import ARGUMENT_SPEC, run_prune


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run_prune(module, module.params, check_mode=module.check_mode)
    except FleetError as error:
        module.fail_json(msg=error.message, **error.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
