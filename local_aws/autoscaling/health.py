# SPDX-License-Identifier: Apache-2.0
"""What has died, or was reported unhealthy, and is replaced."""

from __future__ import annotations

import datetime as dt
import typing as t

from local_aws.autoscaling import launch, lifecycle
from local_aws.autoscaling.model import Group, Member
from local_aws.runner.base import HostEvent

if t.TYPE_CHECKING:
    from local_aws.world import World


def hear(world: World, event: HostEvent) -> None:
    """Act on what a host reports."""
    found = world.member(event.instance_id)
    if found is None:
        return
    group, member = found
    if event.kind == "launch_failed":
        lifecycle.without_worker(member)
    if event.kind == "launch_failed" and member.pending:
        lifecycle.abandon_launch(world, group, member, event.reason)
    elif not member.terminating:
        launch.set_health(world, group, member, "Unhealthy")


def notice_terminated(world: World, group: Group) -> None:
    """Instances that EC2 no longer runs leave the group at once; stopped ones are unhealthy."""
    for member in list(group.members.values()):
        state = launch.ec2_state(group, member)
        if state in ("terminated", "shutting-down"):
            _gone(world, group, member)
        elif state in ("stopped", "stopping") and member.active and past_grace(world, group, member):
            launch.set_health(world, group, member, "Unhealthy")


def _gone(world: World, group: Group, member: Member) -> None:
    """The instance was terminated behind the group's back."""
    launch.set_health(world, group, member, "Unhealthy")
    if member.end_activity is None:
        member.end_activity = launch.new_activity(
            world,
            group,
            f"Terminating EC2 instance: {member.instance_id}",
            "an instance was taken out of service in response to an EC2 health check indicating it has been "
            "terminated or stopped.",
        )
    if member.refresh_id is not None:
        launch.note_failure(world, group, f"{member.instance_id} was terminated")
    launch.power_off(world, group, member)


def past_grace(world: World, group: Group, member: Member) -> bool:
    """True when the health check grace period of an instance is over."""
    start = member.in_service_at or world.now()
    return world.now() >= start + dt.timedelta(seconds=int(group.options["HealthCheckGracePeriod"]))


def replace_unhealthy(world: World, group: Group) -> None:
    """Terminate unhealthy instances; the group launches others."""
    if {"ReplaceUnhealthy", "Terminate", "HealthCheck"} & set(group.suspended):
        return
    for member in group.active_members():
        if member.health != "Healthy":
            if member.refresh_id is not None:
                launch.note_failure(world, group, f"{member.instance_id} is unhealthy")
            lifecycle.begin_termination(
                world, group, member, f"an instance was taken out of service {_why(group, member)}"
            )


def _why(group: Group, member: Member) -> str:
    """AWS's own words for what it found, or for what it was told."""
    if launch.ec2_state(group, member) in ("stopped", "stopping"):
        return "in response to an EC2 health check indicating it has been terminated or stopped."
    return "in response to a user health-check."
