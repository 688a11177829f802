#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Start, cancel or roll back an instance refresh."""

from __future__ import annotations

DOCUMENTATION = r"""
module: instance_refresh
short_description: Start, cancel or roll back an instance refresh of an Auto Scaling group
version_added: 0.1.0
author:
  - The diffusion.fleet authors (@diffusion-fleet)
description:
  - Replaces the instances of an Auto Scaling group by those of a desired configuration, with every preference of the API.
  - Options are checked against the limits of the API before any call is made.
  - Whether an instance refresh is needed cannot be read from AWS. With O(preferences.skip_matching=true) the module finds out
    itself that nothing would be replaced, otherwise every run with O(state=started) starts a refresh.
options:
  name:
    description: The name of the Auto Scaling group.
    type: str
    required: true
  state:
    description:
      - V(started) has a refresh under way.
      - V(cancelled) has none under way. What was replaced stays replaced. A rollback under way is stopped, too.
      - V(rolled_back) undoes the refresh that is under way. A finished one cannot be undone, only followed by another.
    type: str
    choices: [started, cancelled, rolled_back]
    default: started
  strategy:
    description:
      - V(Rolling) replaces instances.
      - V(ReplaceRootVolume) replaces their root volumes and needs O(desired_configuration.mixed_instances_policy) with an
        C(ImageId) in every override.
    type: str
    choices: [Rolling, ReplaceRootVolume]
    default: Rolling
  desired_configuration:
    description:
      - What the instances become. AWS saves it as the group's own when the refresh succeeds.
      - Left out, the instances become what the group has saved, and the refresh cannot be rolled back.
    type: dict
    suboptions:
      launch_template:
        description: A version of a launch template.
        type: dict
        suboptions:
          id:
            description: The id of the template. Exactly one of this and O(desired_configuration.launch_template.name) is needed.
            type: str
          name:
            description: The name of the template.
            type: str
          version:
            description: The number of the version. V($Latest) and V($Default) cannot be rolled back.
            type: str
            required: true
      mixed_instances_policy:
        description: A whole mixed instances policy, as the API spells it.
        type: dict
  preferences:
    description: How the instances are replaced. What is left out is AWS's default or the group's own policy.
    type: dict
    suboptions:
      min_healthy_percentage:
        description: The share of the desired capacity that stays in service, 0 to 100.
        type: int
      max_healthy_percentage:
        description:
          - The share up to which the group may grow, 100 to 200 and at most 100 above
            O(preferences.min_healthy_percentage), which must be given, too.
          - V(100) is not the same as leaving it out. Given, a group that can hold neither bound launches before it terminates.
        type: int
      instance_warmup:
        description: Seconds from being in service until an instance counts as replaced.
        type: int
      checkpoint_percentages:
        description: Shares at which the refresh pauses, ascending. V(100) must be the last for all instances to be replaced.
        type: list
        elements: int
      checkpoint_delay:
        description: Seconds of each pause, up to 172800. The refresh goes on by itself afterwards.
        type: int
      skip_matching:
        description: Leave instances alone that are already as wanted.
        type: bool
      auto_rollback:
        description: Roll back when the refresh fails or an alarm goes off. Needs O(desired_configuration) with a numbered version.
        type: bool
      alarms:
        description: Names of up to ten CloudWatch alarms that fail the refresh. AWS refuses to start unless all are OK.
        type: list
        elements: str
      scale_in_protected_instances:
        description: What happens to instances that are protected from scale-in. AWS waits for an hour by default, then fails.
        type: str
        choices: [Refresh, Ignore, Wait]
      standby_instances:
        description: What happens to instances in standby. AWS waits for an hour by default, then fails.
        type: str
        choices: [Terminate, Ignore, Wait]
      bake_time:
        description: Seconds after the last replacement during which alarms still count, up to 172800.
        type: int
  on_active:
    description:
      - What O(state=started) does when a refresh is already under way.
      - V(fail) leaves it alone and fails.
      - V(adopt) takes it for the wanted one if its desired configuration is the same, and fails otherwise.
      - V(cancel) and V(rollback) end it that way, wait until it has ended, and start the wanted one.
    type: str
    choices: [fail, adopt, cancel, rollback]
    default: fail
  wait_for_transitioning_instances:
    description: Whether a cancel lets launches and terminations under way finish first.
    type: bool
    default: true
  wait:
    description:
      - Whether to wait until the refresh has ended.
      - The module then fails when it ended otherwise than wished, for example rolled back with O(state=started).
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait for at most. A wait that runs out fails and returns the last state seen.
    type: int
    default: 3600
  poll_seconds:
    description: Seconds between two looks while waiting.
    type: int
    default: 10
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - diffusion.fleet._attributes
  - diffusion.fleet._attributes.actiongroup_fleet
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - O(state=started) starts a refresh at each run, unless O(on_active=adopt) finds it under way or O(preferences.skip_matching)
        finds nothing to replace.
seealso:
  - module: diffusion.fleet.instance_refresh_info
  - name: Instance refresh
    description: The guide to EC2 Auto Scaling.
    link: https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-instance-refresh.html
"""

EXAMPLES = r"""
- name: Bring version 7 of the template out in three steps, with its way back
  diffusion.fleet.instance_refresh:
    name: sd-inference-demo
    desired_configuration:
      launch_template:
        name: sd-inference-demo
        version: 7
    preferences:
      min_healthy_percentage: 100
      max_healthy_percentage: 120
      checkpoint_percentages: [20, 50, 100]
      checkpoint_delay: 600
      auto_rollback: true
      alarms: [sd-inference-demo-release-gate]
      scale_in_protected_instances: Refresh
    on_active: adopt
    wait: true

- name: Undo the refresh that is under way
  diffusion.fleet.instance_refresh:
    name: sd-inference-demo
    state: rolled_back
    wait: true
"""

RETURN = r"""
reason:
  description: Why something was done, or nothing.
  returned: success
  type: str
  sample: no refresh is active
refresh:
  description: The refresh as AWS describes it, in snake case. Null where there is none, as in check mode before a start.
  returned: always, unless the options were refused
  type: dict
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
      sample: InProgress
    outcome:
      description: The status in one word, V(in_progress), V(succeeded), V(failed), V(rolled_back) or V(cancelled).
      type: str
      returned: always
      sample: in_progress
    percentage_complete:
      description: The share that is replaced. It runs back to 0 in a rollback.
      type: int
      returned: once the refresh has begun
      sample: 20
    status_reason:
      description: Why it is in this status.
      type: str
      returned: when AWS gives a reason
      sample: Waiting for remaining instances to be available.
elapsed:
  description: Seconds waited.
  returned: when the wait ran out
  type: float
  sample: 3600.0
"""

import typing as t

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.clock import SystemClock
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.run import Wish, refresh_group

PREFERENCES: dict[str, t.Any] = {
    "min_healthy_percentage": {"type": "int"},
    "max_healthy_percentage": {"type": "int"},
    "instance_warmup": {"type": "int"},
    "checkpoint_percentages": {"type": "list", "elements": "int"},
    "checkpoint_delay": {"type": "int"},
    "skip_matching": {"type": "bool"},
    "auto_rollback": {"type": "bool"},
    "alarms": {"type": "list", "elements": "str"},
    "scale_in_protected_instances": {"type": "str", "choices": ["Refresh", "Ignore", "Wait"]},
    "standby_instances": {"type": "str", "choices": ["Terminate", "Ignore", "Wait"]},
    "bake_time": {"type": "int"},
}
TEMPLATE: dict[str, t.Any] = {
    "id": {"type": "str"},
    "name": {"type": "str"},
    "version": {"type": "str", "required": True},
}
CONFIGURATION: dict[str, t.Any] = {
    "launch_template": {"type": "dict", "options": TEMPLATE},
    "mixed_instances_policy": {"type": "dict"},
}
ARGUMENTS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["started", "cancelled", "rolled_back"], "default": "started"},
    "strategy": {"type": "str", "choices": ["Rolling", "ReplaceRootVolume"], "default": "Rolling"},
    "desired_configuration": {"type": "dict", "options": CONFIGURATION},
    "preferences": {"type": "dict", "options": PREFERENCES},
    "on_active": {"type": "str", "choices": ["fail", "adopt", "cancel", "rollback"], "default": "fail"},
    "wait_for_transitioning_instances": {"type": "bool", "default": True},
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 3600},
    "poll_seconds": {"type": "int", "default": 10},
}


def wish_of(params: t.Mapping[str, t.Any]) -> Wish:
    """The options as one value."""
    options = {name: params[name] for name in ARGUMENTS}
    for name in ("preferences", "desired_configuration"):
        options[name] = options[name] or {}
    return Wish(**options)


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = refresh_group(module, wish_of(module.params), SystemClock(), module.check_mode)
    except FleetError as error:
        module.fail_json(msg=error.message, **error.details)
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
