#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""List the instance refreshes of a group and say how they went."""

from __future__ import annotations

DOCUMENTATION = r"""
module: instance_refresh_info
short_description: List the instance refreshes of an Auto Scaling group and say how they went
version_added: 0.1.0
author:
  - The diffusion.fleet authors (@diffusion-fleet)
description:
  - Lists the refreshes of the last six weeks, which is as long as AWS remembers them, newest first.
  - Each has an RV(refreshes[].outcome) that spares the reader AWS's ten statuses.
options:
  name:
    description: The name of the Auto Scaling group.
    type: str
    required: true
  ids:
    description: Only these refreshes.
    type: list
    elements: str
    default: []
  outcomes:
    description: Only refreshes with one of these outcomes.
    type: list
    elements: str
    choices: [in_progress, succeeded, failed, rolled_back, cancelled]
    default: []
  limit:
    description: Return this many at most, 1 or more.
    type: int
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - diffusion.fleet._attributes.info
  - diffusion.fleet._attributes.actiongroup_fleet
seealso:
  - module: diffusion.fleet.instance_refresh
"""

EXAMPLES = r"""
- name: Look at the last refresh
  diffusion.fleet.instance_refresh_info:
    name: sd-inference-demo
    limit: 1
  register: last

- name: Find the deployments that came back by themselves
  diffusion.fleet.instance_refresh_info:
    name: sd-inference-demo
    outcomes: [rolled_back]
"""

RETURN = r"""
refreshes:
  description:
    - The refreshes as AWS describes them, in snake case, newest first. All that one may hold is in the results of
      M(diffusion.fleet.instance_refresh).
  returned: success
  type: list
  elements: dict
  contains:
    instance_refresh_id:
      description: The id of the refresh.
      type: str
      returned: always
      sample: 08b91cf7-8fa6-48af-b6a6-d227f40f1b9b
    status:
      description: The status in AWS's words.
      type: str
      returned: always
      sample: RollbackSuccessful
    outcome:
      description:
        - V(in_progress), V(succeeded), V(failed), V(rolled_back) or V(cancelled).
        - A refresh that bakes or is being cancelled or rolled back is still in progress.
      type: str
      returned: always
      sample: rolled_back
    progress_details:
      description:
        - C(live_pool_progress), and C(warm_pool_progress) for a group with a warm pool, each with C(percentage_complete) and
          C(instances_to_update).
      type: dict
      returned: when AWS tells, as for a group with a warm pool
      sample: {"live_pool_progress": {"percentage_complete": 20, "instances_to_update": 4}}
active:
  description: The refresh that still acts on the group, or null. It is given whatever O(outcomes) and O(ids) say.
  returned: success
  type: dict
"""

import typing as t

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.listing import list_refreshes

ARGUMENTS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "ids": {"type": "list", "elements": "str", "default": []},
    "outcomes": {
        "type": "list",
        "elements": "str",
        "choices": ["in_progress", "succeeded", "failed", "rolled_back", "cancelled"],
        "default": [],
    },
    "limit": {"type": "int"},
}


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    options = module.params
    try:
        result = list_refreshes(module, options["name"], options["ids"], options["outcomes"], options["limit"])
    except FleetError as error:
        module.fail_json(msg=error.message, **error.details)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
