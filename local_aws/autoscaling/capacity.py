# SPDX-License-Identifier: Apache-2.0
"""Towards the desired capacity: launch what is missing, take out what is too much."""

from __future__ import annotations

import typing as t

from local_aws.autoscaling import launch, lifecycle
from local_aws.autoscaling.model import Group, Member

if t.TYPE_CHECKING:
    from local_aws.world import World


def reconcile(world: World, group: Group) -> None:
    """Launch or terminate until the active members are as many as desired."""
    active = group.active_members()
    gap = group.desired - len(active)
    if gap > 0:
        grow(world, group, gap, "a difference between desired and actual capacity")
    elif gap < 0 and "Terminate" not in group.suspended and not _refresh_handles_excess(group):
        shrink(world, group, -gap)


def _refresh_handles_excess(group: Group) -> bool:
    """A running refresh launches before it terminates, and takes out the old ones itself while there are any.

    A cancelled one that waits lets what it has launched come into service first.
    """
    refresh = group.refresh
    if refresh is None or refresh.strategy != "Rolling":
        return False
    if refresh.status == "Cancelling":
        return refresh.wait_on_cancel
    left = any(instance_id in group.members for instance_id in refresh.todo)
    return left and refresh.status in ("InProgress", "RollbackInProgress")


def grow(world: World, group: Group, count: int, why: str) -> int:
    """Launch up to that many; stop at the first failure and while backing off. Returns how many were launched."""
    if "Launch" in group.suspended or (group.retry_at is not None and world.now() < group.retry_at):
        return 0
    for done in range(count):
        have = len(group.active_members())
        cause = f"an instance was started in response to {why}, increasing the capacity from {have} to {have + 1}."
        by_policy = group.policy_launches > 0
        if launch.launch(world, group, cause, by_policy) is None:
            return done
        group.policy_launches = max(0, group.policy_launches - 1)
    return count


def shrink(world: World, group: Group, count: int) -> None:
    """Take out that many by the termination policies; protected instances stay."""
    for _unused in range(count):
        candidates = [m for m in group.active_members() if not m.protected]
        victim = choose(candidates, list(group.options["TerminationPolicies"]), group)
        if victim is None:
            return
        lifecycle.begin_termination(world, group, victim, _shrink_cause(group))


def _shrink_cause(group: Group) -> str:
    """The cause of a termination by scale-in."""
    have = len(group.active_members())
    return (
        "an instance was taken out of service in response to a difference between desired and actual capacity, "
        f"shrinking the capacity from {have} to {have - 1}."
    )


def choose(candidates: list[Member], policies: list[str], group: Group) -> Member | None:
    """The instance to take out: unhealthy first, then the fullest zone, then the termination policies in order."""
    if not candidates:
        return None
    unhealthy = [m for m in candidates if m.health != "Healthy"]
    pool = unhealthy or _fullest_zone(candidates)
    order = policies if policies != ["Default"] else ["OldestLaunchTemplate", "OldestInstance"]
    return min(pool, key=lambda m: [_rank(m, policy, group) for policy in order])


def _fullest_zone(candidates: list[Member]) -> list[Member]:
    """Only the candidates in the zone that has the most of them."""
    zones = [m.zone for m in candidates]
    fullest = max(dict.fromkeys(zones), key=zones.count)
    return [m for m in candidates if m.zone == fullest]


def _rank(member: Member, policy: str, group: Group) -> float:
    """Smaller goes first."""
    age = member.launched_at.timestamp()
    if policy == "NewestInstance":
        return -age
    if policy in ("OldestLaunchTemplate", "OldestLaunchConfiguration", "Default"):
        return member.template.version
    return age
