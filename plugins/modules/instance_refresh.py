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
      - V(ReplaceRootVolume) replaces the root volumes of the instances, which stay what they are otherwise. It needs
        O(desired_configuration.mixed_instances_policy) with an C(image_id) in every override, in a group that has such a
        policy, a numbered template version, no warm pool and no load balancer.
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
          name: &template_name
            description: The name of the template.
            type: str
          version: &template_version
            description: The number of the version. V($Latest) and V($Default) cannot be rolled back.
            type: str
            required: true
      mixed_instances_policy:
        description:
          - A whole mixed instances policy. What is left out of it is gone from the group when the refresh has succeeded.
        type: dict
        suboptions:
          launch_template:
            description: The version of the launch template that the policy is based on.
            type: dict
            suboptions: &policy_template
              id:
                description: The id of the template. Exactly one of this and the name is needed.
                type: str
              name: *template_name
              version: *template_version
          overrides:
            description: The instance types, in the order of their priority.
            type: list
            elements: dict
            suboptions:
              instance_type:
                description: The instance type.
                type: str
              weighted_capacity:
                description: What one instance counts in the group's capacity, 1 to 999. Given for all overrides or for none.
                type: str
              image_id:
                description: The AMI of this type. O(strategy=ReplaceRootVolume) needs it in every override.
                type: str
              launch_template:
                description: Another launch template for this type.
                type: dict
                suboptions: *policy_template
              instance_requirements:
                description:
                  - What the type must be like, instead of its name.
                  - AWS refreshes a group that has saved such requirements without O(desired_configuration) only.
                type: dict
                suboptions:
                  vcpu_count:
                    description: Virtual CPUs. Required, with its C(min).
                    type: dict
                    suboptions: &whole_range
                      min:
                        description: At least that.
                        type: int
                      max:
                        description: At most that.
                        type: int
                  memory_mib:
                    description: Memory in MiB. Required, with its C(min).
                    type: dict
                    suboptions: *whole_range
                  memory_gib_per_vcpu:
                    description: Memory per virtual CPU in GiB.
                    type: dict
                    suboptions: &decimal_range
                      min:
                        description: At least that.
                        type: float
                      max:
                        description: At most that.
                        type: float
                  cpu_manufacturers:
                    description: V(intel), V(amd), V(amazon-web-services), V(apple).
                    type: list
                    elements: str
                  instance_generations:
                    description: V(current), V(previous).
                    type: list
                    elements: str
                  allowed_instance_types:
                    description: Only these types; an asterisk stands for anything. Excludes C(excluded_instance_types).
                    type: list
                    elements: str
                  excluded_instance_types:
                    description: Not these types; an asterisk stands for anything.
                    type: list
                    elements: str
                  spot_max_price_percentage_over_lowest_price:
                    description: The most a Spot type may cost, in percent above the cheapest current type.
                    type: int
                  max_spot_price_as_percentage_of_optimal_on_demand_price:
                    description: The most a Spot type may cost, in percent of the cheapest On-Demand type.
                    type: int
                  on_demand_max_price_percentage_over_lowest_price:
                    description: The most an On-Demand type may cost, in percent above the cheapest.
                    type: int
                  bare_metal:
                    description: Bare metal types.
                    type: str
                    choices: [included, excluded, required]
                  burstable_performance:
                    description: Types with burstable performance.
                    type: str
                    choices: [included, excluded, required]
                  require_hibernate_support:
                    description: Only types that can hibernate.
                    type: bool
                  network_interface_count:
                    description: Network interfaces.
                    type: dict
                    suboptions: *whole_range
                  network_bandwidth_gbps:
                    description: Network bandwidth in gigabits a second.
                    type: dict
                    suboptions: *decimal_range
                  local_storage:
                    description: Types with instance store volumes.
                    type: str
                    choices: [included, excluded, required]
                  local_storage_types:
                    description: V(hdd), V(ssd).
                    type: list
                    elements: str
                  total_local_storage_gb:
                    description: Instance store in GB.
                    type: dict
                    suboptions: *decimal_range
                  baseline_ebs_bandwidth_mbps:
                    description: Bandwidth to EBS in megabits a second.
                    type: dict
                    suboptions: *whole_range
                  accelerator_types:
                    description: V(gpu), V(fpga), V(inference).
                    type: list
                    elements: str
                  accelerator_count:
                    description: Accelerators; a C(max) of 0 excludes types with any.
                    type: dict
                    suboptions: *whole_range
                  accelerator_manufacturers:
                    description: V(nvidia), V(amd), V(amazon-web-services), V(xilinx).
                    type: list
                    elements: str
                  accelerator_names:
                    description: Accelerators by name, such as V(t4).
                    type: list
                    elements: str
                  accelerator_total_memory_mib:
                    description: Memory of all accelerators in MiB.
                    type: dict
                    suboptions: *whole_range
                  baseline_performance_factors:
                    description: Types at least as fast as those of a family.
                    type: list
                    elements: dict
                    suboptions:
                      instance_family:
                        description: The family, such as V(c6i).
                        type: str
          instances_distribution:
            description: How the capacity is shared between On-Demand, Spot and reserved.
            type: dict
            suboptions:
              on_demand_allocation_strategy:
                description: V(prioritized) or V(lowest-price).
                type: str
              on_demand_base_capacity:
                description: How much of the capacity is On-Demand in any case.
                type: int
              on_demand_percentage_above_base_capacity:
                description: How much of what exceeds that is On-Demand, 0 to 100. The rest is Spot.
                type: int
              spot_allocation_strategy:
                description: V(price-capacity-optimized), V(capacity-optimized), V(capacity-optimized-prioritized) or V(lowest-price).
                type: str
              spot_instance_pools:
                description: Across how many pools Spot instances are spread, 1 to 20. Only with V(lowest-price).
                type: int
              spot_max_price:
                description: The most that a Spot instance may cost, in dollars an hour. An empty text removes a price set before.
                type: str
              distribution_segments:
                description: Kinds of capacity to try, in the order of their priority.
                type: list
                elements: dict
                suboptions:
                  target_capacity_types:
                    description: V(on-demand-capacity-reservation), V(capacity-block), V(interruptible-capacity-reservation), V(on-demand).
                    type: list
                    elements: str
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
      - V(adopt) takes it for the wanted one if its desired configuration is the same, and fails otherwise. Other preferences
        are warned of.
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
      - Whether to wait until the refresh has ended. Each news of it is shown as it comes.
      - The module then fails when it ended otherwise than wished, for example rolled back with O(state=started).
      - With O(on_active=cancel) and O(on_active=rollback) the end of the active refresh is awaited in any case.
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
  context:
    description:
      - What the last call of the same task returned as RV(context), empty at first. The action plugin hands it on.
      - Given, the module returns as soon as there is something new to say.
    type: dict
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

- name: Give the instances another AMI without replacing them
  diffusion.fleet.instance_refresh:
    name: sd-inference-demo
    strategy: ReplaceRootVolume
    desired_configuration:
      mixed_instances_policy:
        launch_template:
          name: sd-inference-demo
          version: 7
        overrides:
          - instance_type: g5.xlarge
            image_id: ami-0123456789abcdef0
          - instance_type: g4dn.xlarge
            image_id: ami-0123456789abcdef0
    preferences:
      min_healthy_percentage: 80
      skip_matching: true
    wait: true

- name: Stop whatever is under way, and do not wait for instances that come or go
  diffusion.fleet.instance_refresh:
    name: sd-inference-demo
    state: cancelled
    wait_for_transitioning_instances: false

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
lines:
  description: How the refresh went while it was waited for, one sentence for each news.
  returned: always
  type: list
  elements: str
  sample: ["InProgress: 25 % done, 3 instances to go. Reached the checkpoint at 25%. Waiting until 2026-11-23T16:00:00Z."]
done:
  description: Whether nothing is waited for any more.
  returned: success
  type: bool
  sample: true
context:
  description: To be handed to the next call of the same task; empty when it is done.
  returned: success
  type: dict
  sample: {}
refresh:
  description:
    - The refresh as AWS describes it, in snake case; in check mode, as it would be then. Null where there is none.
  returned: always, unless the options were refused
  type: dict
  contains:
    instance_refresh_id:
      description: The id of the refresh. In check mode there is none before the start.
      type: str
      returned: when there is one
      sample: 08b91cf7-8fa6-48af-b6a6-d227f40f1b9b
    auto_scaling_group_name:
      description: The group.
      type: str
      returned: always
      sample: sd-inference-demo
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
    status_reason:
      description: Why it is in this status.
      type: str
      returned: when AWS gives a reason
      sample: Waiting for remaining instances to be available.
    start_time:
      description: When it began.
      type: str
      returned: once the refresh has begun
      sample: "2026-11-23T15:00:00+00:00"
    end_time:
      description: When it ended.
      type: str
      returned: once the refresh has ended
      sample: "2026-11-23T16:00:00+00:00"
    percentage_complete:
      description: The share that is replaced. It runs back to 0 in a rollback.
      type: int
      returned: once the refresh has begun
      sample: 20
    instances_to_update:
      description: How many instances are left to replace.
      type: int
      returned: once the refresh has begun
      sample: 4
    progress_details:
      description: The same for the group and for its warm pool.
      type: dict
      returned: when AWS tells, as for a group with a warm pool
      contains:
        live_pool_progress:
          description: C(percentage_complete) and C(instances_to_update) of the instances in the group.
          type: dict
          returned: always
          sample: {"percentage_complete": 20, "instances_to_update": 4}
        warm_pool_progress:
          description: C(percentage_complete) and C(instances_to_update) of the instances in the warm pool.
          type: dict
          returned: for a group with a warm pool
          sample: {"percentage_complete": 0, "instances_to_update": 2}
    strategy:
      description: How instances are replaced.
      type: str
      returned: always
      sample: Rolling
    preferences:
      description: The preferences, those that AWS chose included.
      type: dict
      returned: always
      sample: {"min_healthy_percentage": 100, "checkpoint_percentages": [20, 100]}
    desired_configuration:
      description: What the instances become.
      type: dict
      returned: when one was given
      sample: {"launch_template": {"launch_template_name": "sd-inference-demo", "version": "7"}}
    rollback_details:
      description: Why and when it was rolled back, and how far it was by then.
      type: dict
      returned: once a rollback has begun
      contains:
        rollback_reason:
          description: Why it was rolled back.
          type: str
          returned: always
          sample: Manual rollback requested by user.
        rollback_start_time:
          description: When the rollback began.
          type: str
          returned: always
          sample: "2026-11-23T15:30:00+00:00"
        percentage_complete_on_rollback:
          description: The share that was replaced by then.
          type: int
          returned: always
          sample: 20
        instances_to_update_on_rollback:
          description: How many instances were left to replace by then.
          type: int
          returned: always
          sample: 4
        progress_details_on_rollback:
          description: The same for the group and for its warm pool.
          type: dict
          returned: when AWS tells, as for a group with a warm pool
          sample: {"live_pool_progress": {"percentage_complete": 20, "instances_to_update": 4}}
elapsed:
  description: Seconds waited.
  returned: when the wait ran out
  type: float
  sample: 3600.0
"""

import dataclasses
import typing as t

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.clock import SystemClock
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.options import CANCEL, START, arguments
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.run import refresh_group
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.wish import Wish

ARGUMENTS: dict[str, t.Any] = {
    **arguments(START),
    **arguments(CANCEL),
    "state": {"type": "str", "choices": ["started", "cancelled", "rolled_back"], "default": "started"},
    "on_active": {"type": "str", "choices": ["fail", "adopt", "cancel", "rollback"], "default": "fail"},
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 3600},
    "poll_seconds": {"type": "int", "default": 10},
    "context": {"type": "dict"},
}


def wish_of(params: t.Mapping[str, t.Any]) -> Wish:
    """The options as one value."""
    options = {field.name: params[field.name] for field in dataclasses.fields(Wish)}
    for name in ("preferences", "desired_configuration"):
        options[name] = options[name] or {}
    return Wish(**options)


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    context = module.params["context"]
    try:
        result = refresh_group(module, wish_of(module.params), SystemClock(), module.check_mode, context)
    except FleetError as error:
        module.fail_json(msg=error.message, **error.details)
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
