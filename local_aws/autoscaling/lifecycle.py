# SPDX-License-Identifier: Apache-2.0
"""The way of an instance in and out of its group, with hooks that really hold."""

from __future__ import annotations

import datetime as dt
import typing as t
import uuid

from local_aws.autoscaling import launch, root_volume
from local_aws.autoscaling.errors import ValidationError
from local_aws.autoscaling.model import Group, Hook, Member, Wait

if t.TYPE_CHECKING:
    from local_aws.world import World

LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"


def advance(world: World, group: Group, member: Member) -> None:
    """Move one instance as far as the clock and its hooks allow."""
    if member.state == "Pending":
        _from_pending(world, group, member)
    elif member.state in ("Pending:Wait", "Terminating:Wait", "ReplacingRootVolume:Wait"):
        _expire(world, member)
        _after_hooks(world, group, member)
    elif member.state == "Terminating":
        if not _hold(world, group, member, TERMINATING, "Terminating:Wait"):
            launch.power_off(world, group, member)
    elif member.state == "ReplacingRootVolume":
        if not _hold(world, group, member, TERMINATING, "ReplacingRootVolume:Wait"):
            root_volume.replace(world, group, member)
    elif member.state == "EnteringStandby":
        launch.set_state(world, group, member, "Standby")


def _from_pending(world: World, group: Group, member: Member) -> None:
    """A running instance waits for its hooks or goes into service."""
    if world.now() < member.launched_at + dt.timedelta(seconds=world.settings.pending_seconds):
        return
    if member.in_service_at is not None or not _hold(world, group, member, LAUNCHING, "Pending:Wait"):
        put_in_service(world, group, member)


def _hold(world: World, group: Group, member: Member, transition: str, state: str) -> bool:
    """Begin to wait for the hooks of a transition; False when there are none."""
    hooks = [hook for hook in group.hooks.values() if hook.transition == transition]
    if not hooks:
        return False
    now = world.now()
    answer = "CONTINUE" if member.worker_gone and transition == TERMINATING else None
    member.waits = [
        Wait(hook, str(uuid.uuid4()), now, now + dt.timedelta(seconds=hook.heartbeat), answer) for hook in hooks
    ]
    launch.set_state(world, group, member, state)
    return True


def _expire(world: World, member: Member) -> None:
    """Give hooks whose time has run out their default result."""
    for wait in member.waits:
        if wait.result is None and world.now() >= wait.deadline:
            wait.result = wait.hook.default_result


def _after_hooks(world: World, group: Group, member: Member) -> None:
    """Go on when every hook has its result; one ABANDON ends a launch at once."""
    abandoned = any(wait.result == "ABANDON" for wait in member.waits)
    complete = all(wait.result for wait in member.waits)
    if not complete and not abandoned:
        return
    member.waits = []
    if member.terminating:
        launch.set_state(world, group, member, "Terminating:Proceed")
        launch.power_off(world, group, member)
    elif member.replacing:
        root_volume.replace(world, group, member)
    elif abandoned:
        abandon_launch(world, group, member, "Lifecycle action was completed with result ABANDON or timed out.")
    else:
        launch.set_state(world, group, member, "Pending:Proceed")
        put_in_service(world, group, member)


def without_worker(member: Member) -> None:
    """Its host has given the worker up, which finishes nothing: the host lets the termination go on, now or later."""
    member.worker_gone = True
    if member.terminating:
        for wait in member.waits:
            wait.result = wait.result or "CONTINUE"


def put_in_service(world: World, group: Group, member: Member) -> None:
    """The instance serves now."""
    member.in_service_at = world.now()
    group.launch_failures, group.retry_at = 0, None
    launch.set_state(world, group, member, "InService")
    launch.close_activity(world, member.launch_activity, "Successful")


def abandon_launch(world: World, group: Group, member: Member, reason: str) -> None:
    """A launch that did not work: terminate the instance; the group tries again."""
    launch.close_activity(world, member.launch_activity, "Failed", f"Instance became unhealthy or failed: {reason}")
    launch.note_failure(world, group, reason)
    begin_termination(world, group, member, f"an instance was taken out of service: launch abandoned ({reason})")


def begin_termination(world: World, group: Group, member: Member, cause: str) -> None:
    """Start to take an instance out, through its termination hooks."""
    if member.terminating:
        return
    member.waits = []
    member.end_activity = launch.new_activity(world, group, f"Terminating EC2 instance: {member.instance_id}", cause)
    launch.set_state(world, group, member, "Terminating")


def find_wait(group: Group, hook: str, token: str | None, instance_id: str | None) -> Wait:
    """The open wait that a token or an instance names."""
    for member in group.members.values():
        for wait in member.waits:
            named = token == wait.token if token else instance_id == member.instance_id
            if wait.hook.name == hook and named and wait.result is None:
                return wait
    named_text = f"token {token}" if token else f"instance ID {instance_id}"
    raise ValidationError(f"No active Lifecycle Action found with {named_text}")


def heartbeat(world: World, wait: Wait) -> None:
    """Extend a wait by the hook's heartbeat, within the global limit."""
    limit = wait.started + dt.timedelta(seconds=wait.hook.global_timeout)
    wait.deadline = min(world.now() + dt.timedelta(seconds=wait.hook.heartbeat), limit)


def target_state(member: Member, replacing_is_terminating: bool = False) -> str:
    """Where the instance is going; AWS does not say what is told before a root volume is replaced."""
    if member.terminating or (member.replacing and replacing_is_terminating):
        return "Terminated"
    return "Standby" if "Standby" in member.state else "InService"


def hook_from(params: t.Mapping[str, t.Any], old: Hook | None) -> Hook:
    """A hook from the parameters of the API, on top of an existing one."""
    transition = params.get("LifecycleTransition") or (old.transition if old else None)
    if transition not in (LAUNCHING, TERMINATING):
        raise ValidationError(f"Invalid lifecycle transition: {transition}")
    base = old or Hook(params["LifecycleHookName"], transition)
    hook = Hook(
        base.name,
        transition,
        int(params.get("HeartbeatTimeout", base.heartbeat)),
        params.get("DefaultResult", base.default_result),
        params.get("NotificationTargetARN", base.target_arn),
        params.get("RoleARN", base.role_arn),
        params.get("NotificationMetadata", base.metadata),
    )
    if not 30 <= hook.heartbeat <= 7200:
        raise ValidationError("Heartbeat timeout must be between 30 and 7200 seconds")
    if hook.default_result not in ("CONTINUE", "ABANDON"):
        raise ValidationError(f"Invalid default result: {hook.default_result}")
    return hook
