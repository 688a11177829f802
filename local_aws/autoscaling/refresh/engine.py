# SPDX-License-Identifier: Apache-2.0
"""An instance refresh, advanced tick by tick."""

from __future__ import annotations

import datetime as dt
import typing as t

from local_aws.autoscaling import capacity, lifecycle, root_volume, templates
from local_aws.autoscaling.errors import ValidationError
from local_aws.autoscaling.model import Group, Member, Params, Refresh
from local_aws.autoscaling.refresh import plan

if t.TYPE_CHECKING:
    from local_aws.world import World


def advance(world: World, group: Group) -> None:
    """Advance the active refresh of a group, and forget what is older than the history."""
    oldest = world.now() - dt.timedelta(seconds=world.settings.history_seconds)
    group.refreshes = [r for r in group.refreshes if r.end is None or r.end > oldest]
    refresh = group.refresh
    if refresh is None:
        return
    step = {
        "Pending": _begin,
        "InProgress": _roll_out,
        "Baking": _bake,
        "Cancelling": _cancelling,
        "RollbackInProgress": _roll_back,
    }[refresh.status]
    step(world, group, refresh)


def set_status(world: World, group: Group, refresh: Refresh, status: str, reason: str | None = None) -> None:
    """Move the refresh on and write it down."""
    refresh.status, refresh.reason = status, reason
    if status in ("Successful", "Failed", "Cancelled", "RollbackFailed", "RollbackSuccessful"):
        refresh.end = world.now()
    world.timeline.record(
        world.now(),
        group.name,
        "refresh",
        refresh_id=refresh.refresh_id,
        status=status,
        percentage=refresh.percent,
        reason=reason,
    )


def matches(member: Member, group: Group, config: Params, strategy: str) -> bool:
    """True when an instance is what the configuration would launch; to replace root volumes, only their AMIs count."""
    if strategy == root_volume.STRATEGY:
        return member.image_id == root_volume.image(group, config, member)
    wanted = templates.resolve(group.account, group.region, templates.config_spec(config))
    kinds = [o["InstanceType"] for o in templates.config_overrides(config) if "InstanceType" in o]
    return member.template.same(wanted) and (not kinds or member.instance_type in kinds)


def _begin(world: World, group: Group, refresh: Refresh) -> None:
    """Choose what is to be replaced."""
    config = refresh.desired or group.config
    skip = refresh.preferences["SkipMatching"]
    if skip and config == group.config and world.settings.rules.skip_matching_after_cancel_is_immediate:
        refresh.percent = 100
        set_status(world, group, refresh, "Successful", "All instances already match the desired configuration.")
        return
    for member in group.members.values():
        if not member.terminating:
            _enlist(group, refresh, member, skip and matches(member, group, config, refresh.strategy))
    _measure(world, group, refresh)
    set_status(world, group, refresh, "InProgress")


def _enlist(group: Group, refresh: Refresh, member: Member, matching: bool) -> None:
    """Put one instance on the right list."""
    protected = member.protected and refresh.preferences["ScaleInProtectedInstances"] == "Ignore"
    standby = not member.active and refresh.preferences["StandbyInstances"] == "Ignore"
    if matching:
        refresh.skipped.add(member.instance_id)
    elif protected or standby:
        refresh.ignored.add(member.instance_id)
    else:
        refresh.todo.add(member.instance_id)


def _counts(world: World, group: Group, refresh: Refresh) -> tuple[plan.Counts, int]:
    """The counts, and how many instances the percentages are of."""
    warmup = float(refresh.preferences.get("InstanceWarmup", group.warmup))
    active = group.active_members()
    old = [m for m in active if m.instance_id in refresh.todo]
    new = [m for m in active if m.instance_id not in refresh.todo]
    serving = [m for m in old if m.ready(world.now(), 0)]
    ready = [m for m in new if m.ready(world.now(), 0 if _known(refresh, m) else warmup)]
    aside = set(refresh.ignored)
    if not world.settings.rules.checkpoints_count_matching:
        aside |= refresh.skipped
    updated = sum(m.instance_id not in aside for m in ready)
    counts = plan.Counts(
        group.desired,
        len(active),
        len(serving) + len(ready),
        updated,
        len(new) - len(ready),
        len(old) - len(serving),
    )
    return counts, max(0, group.desired - sum(m.instance_id in aside for m in active))


def _known(refresh: Refresh, member: Member) -> bool:
    """An instance that was there before the refresh needs no warm-up."""
    return member.instance_id in refresh.skipped or member.instance_id in refresh.ignored


def _measure(world: World, group: Group, refresh: Refresh) -> tuple[plan.Counts, int]:
    """Count, and bring the progress up to date."""
    counts, total = _counts(world, group, refresh)
    if refresh.rollback is None:
        refresh.percent = plan.percent(counts.updated, total)
        refresh.remaining = max(0, total - counts.updated)
    else:
        left = sum(i in group.members for i in refresh.todo)
        start = int(refresh.rollback["PercentageCompleteOnRollback"])
        refresh.percent = min(start, -(-100 * left // max(1, total)))
        refresh.remaining = max(0, total - left)
    if counts.updated > refresh.best:
        refresh.best, refresh.failing_since = counts.updated, None
    return counts, total


def _roll_out(world: World, group: Group, refresh: Refresh) -> None:
    """Replace towards the next checkpoint."""
    counts, total = _measure(world, group, refresh)
    states = alarm_states(world, group, refresh)
    failed = _failure(world, group, refresh, states)
    if failed:
        fail(world, group, refresh, failed)
    elif "INSUFFICIENT_DATA" in states.values():
        name = next(n for n, state in states.items() if state == "INSUFFICIENT_DATA")
        refresh.reason = f"Waiting for the CloudWatch alarm {name}, which has insufficient data."
    else:
        _towards(world, group, refresh, counts, total)


def _towards(world: World, group: Group, refresh: Refresh, counts: plan.Counts, total: int) -> None:
    """One step of replacing, up to the checkpoint that is next."""
    points = list(refresh.preferences.get("CheckpointPercentages") or [100])
    target = _checkpoint(world, group, refresh, points, total)
    done = refresh.checkpoints_passed >= len(points)
    if done and counts.active <= group.desired and _nothing_left(group, refresh, points):
        _finish(world, group, refresh)
        return
    _replace(world, group, refresh, counts, target)


def _checkpoint(world: World, group: Group, refresh: Refresh, points: list[int], total: int) -> int:
    """How many updated instances are allowed now; stops at a checkpoint for its delay."""
    now, reached = world.now(), plan.passed(points, refresh.percent)
    if refresh.checkpoint_until is not None and now < refresh.checkpoint_until:
        return 0
    refresh.checkpoint_until = None
    if reached > refresh.checkpoints_passed and reached < len(points):
        delay = dt.timedelta(seconds=int(refresh.preferences["CheckpointDelay"]))
        refresh.checkpoint_until, refresh.checkpoints_passed = now + delay, reached
        refresh.reason = f"Reached the checkpoint at {points[reached - 1]}%. Waiting until {now + delay:%FT%TZ}."
        world.timeline.record(
            now,
            group.name,
            "checkpoint",
            refresh_id=refresh.refresh_id,
            percentage=refresh.percent,
            checkpoint=points[reached - 1],
        )
        return 0 if delay else plan.share(total, points[reached])
    refresh.checkpoints_passed = reached
    return plan.share(total, points[min(reached, len(points) - 1)])


def _nothing_left(group: Group, refresh: Refresh, points: list[int]) -> bool:
    """True when every instance to replace is gone, or the last checkpoint leaves some on purpose."""
    left = [group.members[i] for i in refresh.todo if i in group.members]
    return not left if points[-1] == 100 else not any(m.terminating for m in left)


def _replace(world: World, group: Group, refresh: Refresh, counts: plan.Counts, target: int) -> None:
    """Launch and terminate what the plan allows."""
    preferences = refresh.preferences
    limits = plan.bounds(
        group.desired, preferences["MinHealthyPercentage"], preferences["MaxHealthyPercentage"], refresh.explicit_max
    )
    free, held = _replaceable(group, refresh)
    _note_blocked(world, refresh, free, held, target > counts.updated + counts.starting)
    room = counts.updated + counts.starting + max(0, group.desired - counts.active) + len(free)
    if refresh.rollback is None and target:
        _explain(world, group, refresh, counts)
    if refresh.strategy == root_volume.STRATEGY:
        _replace_in_place(world, group, refresh, _victims(world, free, plan.in_place(counts, limits, target), group))
        return
    moves = plan.moves(counts, limits, min(target, room))
    for member in _victims(world, free, moves.terminate, group):
        lifecycle.begin_termination(
            world, group, member, "an instance was taken out of service in response to an instance refresh."
        )
    capacity.grow(world, group, moves.launch, "an instance refresh")


def _replace_in_place(world: World, group: Group, refresh: Refresh, chosen: list[Member]) -> None:
    """Give instances a root volume of the AMI that is rolled out, or of the saved one in a rollback."""
    config = refresh.desired if refresh.rollback is None and refresh.desired else group.config
    for member in chosen:
        refresh.todo.discard(member.instance_id)
        root_volume.begin(world, group, member, root_volume.image(group, config, member))


def _replaceable(group: Group, refresh: Refresh) -> tuple[list[Member], list[Member]]:
    """What may be replaced now, and what holds the refresh up."""
    left = [group.members[i] for i in refresh.todo if i in group.members]
    left = sorted((m for m in left if not m.terminating), key=lambda m: (m.launched_at, m.instance_id))
    wait = refresh.preferences["ScaleInProtectedInstances"] == "Wait"
    held = [m for m in left if (m.protected and wait) or not m.active]
    return [m for m in left if m not in held], held


def _note_blocked(world: World, refresh: Refresh, free: list[Member], held: list[Member], wanted: bool) -> None:
    """Remember since when only protected or standby instances are left."""
    if free or not held or not wanted:
        refresh.blocked_since = None
        return
    refresh.blocked_since = refresh.blocked_since or world.now()
    what = "in Standby" if not held[0].active else "protected from scale in"
    refresh.reason = f"Waiting for remaining instances to be available. For example: {held[0].instance_id} is {what}."


def _victims(world: World, free: list[Member], count: int, group: Group) -> list[Member]:
    """Which go first: those that serve nobody, then by zone and age."""
    chosen: list[Member] = []
    pool = list(free)
    while pool and len(chosen) < count:
        broken = [m for m in pool if not m.ready(world.now(), 0)]
        victim = broken[0] if broken else capacity.choose(pool, ["OldestInstance"], group)
        if victim is None:
            break
        chosen.append(victim)
        pool.remove(victim)
    return chosen


def _explain(world: World, group: Group, refresh: Refresh, counts: plan.Counts) -> None:
    """Say what the refresh waits for."""
    if refresh.blocked_since is not None:
        return
    new = [m for m in group.active_members() if m.instance_id not in refresh.todo | refresh.skipped | refresh.ignored]
    warming = [m for m in new if m.state == "InService" and counts.starting]
    if warming:
        refresh.reason = (
            f"Waiting for instances to warm up before continuing. For example: {warming[-1].instance_id} is warming up."
        )
    else:
        refresh.reason = f"Replacing instances before continuing. {refresh.remaining} remaining."


def alarm_states(world: World, group: Group, refresh: Refresh) -> dict[str, str | None]:
    """The states of the alarms of a refresh."""
    names = refresh.preferences.get("AlarmSpecification", {}).get("Alarms", [])
    return {name: world.alarm_state(group.account, group.region, name) for name in names}


def _failure(world: World, group: Group, refresh: Refresh, states: dict[str, str | None]) -> str | None:
    """Why the refresh fails now, if it does."""
    alarm = next((name for name, state in states.items() if state == "ALARM"), None)
    if alarm is not None:
        return f"The CloudWatch alarm {alarm} is in ALARM state."
    hour = dt.timedelta(seconds=world.settings.retry_seconds)
    if refresh.failing_since is not None and world.now() >= refresh.failing_since + hour:
        return f"Failed to replace instances for one hour: {refresh.failure}"
    if refresh.blocked_since is not None and world.now() >= refresh.blocked_since + hour:
        return f"Failed after one hour. {refresh.reason}"
    if world.now() >= refresh.start + dt.timedelta(days=14):
        return "The instance refresh took longer than 14 days."
    return None


def _finish(world: World, group: Group, refresh: Refresh) -> None:
    """All that was asked for is replaced: bake, or succeed."""
    bake = int(refresh.preferences.get("BakeTime") or 0)
    if bake and refresh.bake_until is None:
        refresh.bake_until = world.now() + dt.timedelta(seconds=bake)
        set_status(world, group, refresh, "Baking", f"Baking until {refresh.bake_until:%FT%TZ}.")
        return
    if refresh.desired is not None:
        group.config = refresh.desired
    set_status(world, group, refresh, "Successful")


def _bake(world: World, group: Group, refresh: Refresh) -> None:
    """Wait at the end; alarms still count."""
    _measure(world, group, refresh)
    failed = _failure(world, group, refresh, alarm_states(world, group, refresh))
    if failed:
        fail(world, group, refresh, failed)
    elif refresh.bake_until is not None and world.now() >= refresh.bake_until:
        _finish(world, group, refresh)


def _cancelling(world: World, group: Group, refresh: Refresh) -> None:
    """Cancelled, once nothing is on its way in or out."""
    moving = any(m.pending or m.terminating for m in group.members.values())
    if not (refresh.wait_on_cancel and moving):
        set_status(world, group, refresh, "Cancelled", "Cancelled due to user request.")


def fail(world: World, group: Group, refresh: Refresh, reason: str) -> None:
    """The refresh has failed: roll back by itself, or end."""
    if refresh.preferences["AutoRollback"] and refresh.rollback is None:
        try:
            start_rollback(world, group, refresh, f"Automatic rollback: {reason}")
        except ValidationError as error:  # the saved template version was deleted meanwhile
            set_status(world, group, refresh, "RollbackFailed", error.message)
    else:
        set_status(world, group, refresh, "RollbackFailed" if refresh.rollback is not None else "Failed", reason)


def start_rollback(world: World, group: Group, refresh: Refresh, reason: str) -> None:
    """Turn round: replace what is not the group's saved configuration."""
    _measure(world, group, refresh)
    earlier = world.settings.rules.native_rollback_covers_earlier_refreshes
    alive = [m for m in group.members.values() if not m.terminating]
    others = [m for m in alive if not matches(m, group, group.config, refresh.strategy)]
    refresh.rollback = {
        "RollbackReason": reason,
        "RollbackStartTime": world.now(),
        "PercentageCompleteOnRollback": refresh.percent,
        "InstancesToUpdateOnRollback": refresh.remaining,
    }
    refresh.failing_since = refresh.blocked_since = refresh.checkpoint_until = None
    refresh.best = 0
    refresh.todo = {m.instance_id for m in others if earlier or m.refresh_id == refresh.refresh_id}
    refresh.skipped, refresh.ignored = {m.instance_id for m in alive} - refresh.todo, set()
    set_status(world, group, refresh, "RollbackInProgress", reason)


def _roll_back(world: World, group: Group, refresh: Refresh) -> None:
    """Replace back to the saved configuration, without checkpoints, alarms or baking."""
    counts, total = _measure(world, group, refresh)
    failed = _failure(world, group, refresh, {})
    if failed:
        fail(world, group, refresh, failed)
    elif (
        counts.active <= group.desired
        and not counts.starting
        and _nothing_left(group, refresh, [100])
        and counts.active >= group.desired
    ):
        set_status(world, group, refresh, "RollbackSuccessful", refresh.reason)
    else:
        _replace(world, group, refresh, counts, total)
