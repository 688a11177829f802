# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of a rolling replacement: pure functions of counts."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Counts:
    """A group in the eyes of a refresh."""

    desired: int
    active: int
    """Pending or in service."""
    healthy: int
    """Fit to serve: old ones in service and new ones in service and warmed up."""
    updated: int
    """New ones in service and warmed up."""
    starting: int
    """New ones that are not yet."""
    broken: int = 0
    """Old ones that serve nobody: terminating them costs nothing."""


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Between how many instances a refresh works."""

    floor: int
    ceiling: int
    explicit: bool
    """The maximum was given, not defaulted: launch first where no bound leaves room."""


@dataclasses.dataclass(frozen=True)
class Moves:
    """What to do now."""

    launch: int
    terminate: int


def bounds(desired: int, minimum: int, maximum: int, explicit: bool) -> Bounds:
    """The floor is rounded up, the ceiling down: rounding never costs capacity."""
    return Bounds(-(-desired * minimum // 100), desired * maximum // 100, explicit)


def share(count: int, percentage: int) -> int:
    """How many of ``count`` instances a percentage means: rounded up."""
    return -(-count * percentage // 100)


def percent(updated: int, total: int) -> int:
    """The completed percentage, rounded down."""
    return 100 if total <= 0 else min(100, 100 * updated // total)


def moves(counts: Counts, limits: Bounds, target: int) -> Moves:
    """How many to launch and to terminate on the way to ``target`` updated instances."""
    missing = max(0, counts.desired - counts.active)
    excess = max(0, counts.active - counts.desired)
    budget = max(0, target - counts.updated - counts.starting - missing)
    spare = max(0, counts.healthy - limits.floor) + counts.broken
    if limits.floor >= counts.desired >= limits.ceiling:
        return _without_room(limits, budget, excess, spare, bool(counts.starting or missing))
    launch = min(budget, max(0, limits.ceiling - counts.active))
    return Moves(launch, min(spare, excess + budget - launch))


def _without_room(limits: Bounds, budget: int, excess: int, spare: int, under_way: bool) -> Moves:
    """Both bounds cannot hold: one at a time, launched first if the maximum was given, else terminated first."""
    if excess:
        return Moves(0, min(spare, excess))
    if under_way or not budget:
        return Moves(0, 0)
    return Moves(1, 0) if limits.explicit else Moves(0, 1)


def in_place(counts: Counts, limits: Bounds, target: int) -> int:
    """How many instances to replace in place: none is launched, so only the floor counts; one where it is too high."""
    missing = max(0, counts.desired - counts.active)
    budget = max(0, target - counts.updated - counts.starting - missing)
    if limits.floor >= counts.desired:
        return 0 if counts.starting or missing else min(1, budget)
    return min(budget, max(0, counts.healthy - limits.floor) + counts.broken)


def passed(checkpoints: list[int], completed: int) -> int:
    """How many checkpoints a percentage has reached."""
    return sum(point <= completed for point in checkpoints)
