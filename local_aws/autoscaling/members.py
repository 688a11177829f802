# SPDX-License-Identifier: Apache-2.0
"""What clients do to single instances of a group."""

from __future__ import annotations

import typing as t

from local_aws.autoscaling import health, launch, lifecycle, policies, templates
from local_aws.autoscaling.errors import ValidationError
from local_aws.autoscaling.model import Activity, Group, Member

if t.TYPE_CHECKING:
    from local_aws.world import World


def named(group: Group, ids: t.Iterable[str]) -> list[Member]:
    """The members with those ids, or the error AWS gives."""
    wanted = list(ids)
    missing = [i for i in wanted if i not in group.members]
    if missing:
        raise ValidationError(f"The instance {missing[0]} is not part of Auto Scaling group {group.name}.")
    return [group.members[i] for i in wanted]


def anywhere(world: World, instance_id: str) -> tuple[Group, Member]:
    """The member of any group, or the error AWS gives."""
    found = world.member(instance_id)
    if found is None:
        raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")
    return found


def terminate(world: World, instance_id: str, decrement: bool) -> Activity:
    """TerminateInstanceInAutoScalingGroup."""
    group, member = anywhere(world, instance_id)
    if decrement:
        _decrement(world, group, 1)
    lifecycle.begin_termination(
        world, group, member, f"instance {instance_id} was taken out of service in response to a user request."
    )
    return _end(member)


def _end(member: Member) -> Activity:
    """The activity that takes a member out."""
    if member.end_activity is None:
        raise ValidationError(f"The instance {member.instance_id} is not being terminated.")
    return member.end_activity


def _decrement(world: World, group: Group, count: int) -> None:
    """Lower the desired capacity, not below the minimum."""
    if group.desired - count < group.min_size:
        raise ValidationError(
            f"Currently, desiredSize equals {group.desired}. Terminating instance without replacement will violate "
            f"group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower "
            "group's min size."
        )
    policies.set_desired(world, group, group.desired - count, "decrement")


def set_health(world: World, instance_id: str, status: str, respect_grace: bool) -> None:
    """SetInstanceHealth; within the grace period nothing happens unless it is to be ignored."""
    group, member = anywhere(world, instance_id)
    if status not in ("Healthy", "Unhealthy"):
        raise ValidationError(f"Valid instance health states are: [Healthy, Unhealthy]; got {status}.")
    if respect_grace and status == "Unhealthy" and not health.past_grace(world, group, member):
        return
    launch.set_health(world, group, member, status)


def protect(group: Group, ids: list[str], protected: bool) -> None:
    """SetInstanceProtection, for instances in service or on their way in or out of standby."""
    if len(ids) > 50:
        raise ValidationError("You can specify at most 50 instance IDs.")
    chosen = named(group, ids)
    for member in chosen:
        if not (member.active or "Standby" in member.state):
            raise ValidationError(
                f"The instance {member.instance_id} is not in InService or EnteringStandby or Standby."
            )
    for member in chosen:
        member.protected = protected


def enter_standby(world: World, group: Group, ids: list[str], decrement: bool) -> list[Activity]:
    """EnterStandby."""
    chosen = named(group, ids)
    for member in chosen:
        if member.state != "InService":
            raise ValidationError(f"The instance {member.instance_id} is not in InService.")
    if decrement:
        _decrement(world, group, len(chosen))
    for member in chosen:
        launch.set_state(world, group, member, "EnteringStandby")
    return [
        _done(world, group, f"Moving EC2 instance to Standby: {m.instance_id}", m, "moved to standby") for m in chosen
    ]


def exit_standby(world: World, group: Group, ids: list[str]) -> list[Activity]:
    """ExitStandby: the desired capacity rises again."""
    chosen = named(group, ids)
    for member in chosen:
        if member.state != "Standby":
            raise ValidationError(f"The instance {member.instance_id} is not in Standby.")
    _increment(world, group, len(chosen))
    for member in chosen:
        launch.set_state(world, group, member, "Pending")
    return [
        _done(world, group, f"Moving EC2 instance out of Standby: {m.instance_id}", m, "moved out of standby")
        for m in chosen
    ]


def _increment(world: World, group: Group, count: int) -> None:
    """Raise the desired capacity, not above the maximum."""
    if group.desired + count > group.max_size:
        raise ValidationError(
            f"AutoScalingGroup '{group.name}' has min-size={group.min_size}, max-size={group.max_size}, and "
            f"desired-size={group.desired}. To place into service {count} more instance, please update the "
            "AutoScalingGroup sizes appropriately."
        )
    policies.set_desired(world, group, group.desired + count, "increment")


def _done(world: World, group: Group, description: str, member: Member, what: str) -> Activity:
    """An activity that is over at once."""
    activity = launch.new_activity(
        world, group, description, f"instance {member.instance_id} was {what} in response to a user request."
    )
    launch.close_activity(world, activity, "Successful")
    return activity


def detach(world: World, group: Group, ids: list[str], decrement: bool) -> list[Activity]:
    """DetachInstances: they run on, outside the group."""
    chosen = named(group, ids)
    if decrement:
        _decrement(world, group, len(chosen))
    activities = []
    for member in chosen:
        launch.set_state(world, group, member, "Detached")
        del group.members[member.instance_id]
        activities.append(_done(world, group, f"Detaching EC2 instance: {member.instance_id}", member, "detached"))
    return activities


def attach(world: World, group: Group, ids: list[str]) -> None:
    """AttachInstances: running instances of no group; the desired capacity rises."""
    backend = templates.ec2_backend(group.account, group.region)
    found = [backend.get_instance_by_id(i) for i in ids]
    for instance_id, ec2 in zip(ids, found, strict=True):
        if ec2 is None or str(ec2.state) != "running":
            raise ValidationError(f"Invalid Instance ID(s): [{instance_id}]. Instances must be running.")
        if world.member(instance_id) is not None:
            raise ValidationError(f"Instance {instance_id} is already part of an AutoScalingGroup.")
    _increment(world, group, len(ids))
    for ec2 in found:
        _adopt(world, group, ec2)


def _adopt(world: World, group: Group, ec2: t.Any) -> None:
    """Make a running instance a member."""
    tags = {tag["key"]: str(tag["value"]) for tag in ec2.get_tags()}
    template = templates.resolve(group.account, group.region, templates.config_spec(group.config))
    version = tags.get("aws:ec2launchtemplate:version")
    if version and tags.get("aws:ec2launchtemplate:id"):
        spec = {"LaunchTemplateId": tags["aws:ec2launchtemplate:id"], "Version": version}
        template = templates.resolve(group.account, group.region, spec)
    ec2.add_tags({"aws:autoscaling:groupName": group.name})
    member = Member(
        ec2.id,
        ec2.instance_type,
        ec2.placement.zone,
        ec2.image_id,
        template,
        world.now(),
        image_version=tags.get("ImageVersion"),
        release_id=tags.get("ReleaseId"),
    )
    group.members[member.instance_id] = member
    launch.record(world, group, member, "launch")
