# SPDX-License-Identifier: Apache-2.0
"""Auto Scaling as a whole: what a tick does, and what others may ask."""

from __future__ import annotations

import typing as t

from local_aws.autoscaling import capacity, health, launch, lifecycle, policies
from local_aws.autoscaling.errors import ScalingActivityInProgress
from local_aws.autoscaling.model import Group, Member
from local_aws.autoscaling.refresh import engine

if t.TYPE_CHECKING:
    from local_aws.world import World


def tick(world: World) -> None:
    """Advance every group; safe to repeat at the same time."""
    for event in world.runner.poll():
        health.hear(world, event)
    for group in list(world.groups.values()):
        health.notice_terminated(world, group)
        for member in list(group.members.values()):
            lifecycle.advance(world, group, member)
        health.replace_unhealthy(world, group)
        engine.advance(world, group)
        capacity.reconcile(world, group)


def discard(world: World, group: Group) -> None:
    """Terminate all members at once, without hooks."""
    for member in list(group.members.values()):
        launch.power_off(world, group, member)


def execute_policy_by_arn(world: World, arn: str, value: float | None, threshold: float | None) -> None:
    """Execute a policy for an alarm; a cooldown makes the alarm's action void."""
    for group in world.groups.values():
        for policy in group.policies.values():
            if policy.arn == arn:
                try:
                    policies.execute(world, group, policy, value, threshold)
                except ScalingActivityInProgress:
                    return


def target_lifecycle_state(world: World, member: Member) -> str:
    """What the instance's metadata say."""
    return lifecycle.target_state(member, world.settings.rules.root_volume_target_is_terminated)


def metrics(group: Group) -> dict[str, int] | None:
    """The group's metrics, None while their collection is off."""
    if not group.metrics:
        return None
    members = group.members.values()
    values = {
        "GroupMinSize": group.min_size,
        "GroupMaxSize": group.max_size,
        "GroupDesiredCapacity": group.desired,
        "GroupInServiceInstances": len(group.in_state("InService")),
        "GroupPendingInstances": sum(m.pending for m in members),
        "GroupStandbyInstances": len(group.in_state("Standby")),
        "GroupTerminatingInstances": sum(m.terminating for m in members),
        "GroupTotalInstances": len(group.members),
    }
    return {name: value for name, value in values.items() if name in group.metrics}
