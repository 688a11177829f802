#!/usr/bin/python
# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: release_info
short_description: Show what a fleet runs, what is under way and what was released before
version_added: 0.1.0
author:
  - The diffusion.fleet authors (@diffusion-fleet)
description:
  - Reads the release ledger, the group, the newest instance refresh, the holder of the lock and the release history of a deployment.
  - Reads only.
options:
  deployment_id:
    description: The deployment, 2 to 20 lower-case letters, digits and hyphens.
    type: str
    required: true
  history:
    description: How many releases of the past to show.
    type: int
    default: 5
  show:
    description:
      - What is displayed beside the result.
      - V(text) shows RV(lines), V(json) everything else as one JSON document on a line of its own that begins with C({).
    type: str
    choices: [none, text, json]
    default: none
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
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
- name: What runs, and what ran before
  diffusion.fleet.release_info:
    deployment_id: demo
    history: 10
  register: fleet

- name: The same on the screen
  diffusion.fleet.release_info:
    deployment_id: demo
    show: text
"""

RETURN = r"""
schema:
  description: Version of this document.
  returned: success
  type: int
  sample: 1
deployment_id:
  description: The deployment.
  returned: success
  type: str
  sample: demo
time:
  description: When it was read.
  returned: success
  type: str
  sample: "2026-11-23T13:18:40+00:00"
status:
  description: State of the deployment, V(stable), V(in-progress) or V(rolling-back).
  returned: success
  type: str
  sample: stable
stable:
  description: The stable release; null before the first one.
  returned: success
  type: dict
  sample: {"version": "1.0.0", "release_id": "0a1b2c3d4e5f", "template_version": "2"}
previous:
  description: The release that a rollback returns to; null where there is none.
  returned: success
  type: dict
  sample: {"version": "0.9.0", "release_id": "5f4e3d2c1b0a", "template_version": "1"}
candidate:
  description: The release that is being tried, or being left; null when nothing is under way.
  returned: success
  type: dict
  sample: {"version": "1.1.0", "release_id": "00aa11bb22cc", "template_version": "3"}
inferred:
  description: What a fleet without a ledger was found to run, and how that is known; empty where there is a ledger.
  returned: success
  type: list
  elements: str
  sample: []
rejected:
  description: Versions that went back or were left, with reasons, the last ten.
  returned: success
  type: list
  elements: dict
  sample: [{"version": "1.2.0", "reason": "3 of 3 jobs failed, more than 10%"}]
ledger:
  description: The whole record.
  returned: success
  type: dict
  sample: {"sequence": 3}
parameters:
  description: The three plain parameters as they are.
  returned: success
  type: dict
  sample: {"image-version": "1.0.0", "previous-version": "none", "deployment-status": "stable"}
lock:
  description: Who holds the lock; null when nobody does.
  returned: success
  type: dict
  sample: {"owner": "ada", "host": "ci-7", "epoch": 4, "age_seconds": 3}
open:
  description: The release under way; null when nothing is open.
  returned: success
  type: dict
  sample: {"sequence": 3, "kind": "deploy", "seconds": 512, "paused": false, "started_by": "ada@ci-7"}
steps:
  description:
    - Steps of the open release with planned and actual instances of the candidate, and the verdict where there is one.
    - C(state) is V(skipped), V(passed), V(judging), V(paused), V(next), V(to come) or V(given up).
  returned: success
  type: list
  elements: dict
  sample: [{"number": 1, "percentage": 20, "planned": 1, "actual": 1, "state": "judging", "verdict": null}]
group:
  description: Size of the group.
  returned: success
  type: dict
  sample: {"desired": 5, "in_service": 5, "maximum": 10}
instances:
  description: Instances of the group by template version, with their share of the instances in service.
  returned: success
  type: list
  elements: dict
  sample: [{"version": "1.0.0", "role": "stable", "template_version": "2", "in_service": 5, "total": 5, "percentage": 100}]
next:
  description: What to run now, in a sentence.
  returned: success
  type: str
  sample: "nothing: no release is open"
refresh:
  description: The newest instance refresh; null where there was none.
  returned: success
  type: dict
  sample: {"refresh_id": "08b91cf7-8fa6-48af-b6a6-d227f40f1b9b", "status": "Successful", "percentage": 100}
history:
  description: The last releases, newest first, with plan, verdicts, outcome and duration in seconds.
  returned: success
  type: list
  elements: dict
  sample: [{"sequence": 3, "version": "1.1.0", "outcome": "succeeded", "seconds": 5790}]
lines:
  description: The same for people.
  returned: success
  type: list
  elements: str
  sample: ["demo: stable"]
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.clock import SystemClock
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._release.status import read_status


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(
        argument_spec={
            "deployment_id": {"type": "str", "required": True},
            "history": {"type": "int", "default": 5},
            "show": {"type": "str", "choices": ["none", "text", "json"], "default": "none"},
        },
        supports_check_mode=True,
    )
    try:
        now = SystemClock().now()
        result = read_status(module, module.params["deployment_id"], module.params["history"], now)
    except FleetError as error:
        module.fail_json(msg=error.message, **error.details)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
