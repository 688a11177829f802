# SPDX-License-Identifier: GPL-3.0-or-later
"""Which calls are disturbed, and how: what would lead to the same state is tried once. Pure."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from tests.support.probe import Trouble

READING = re.compile(r"\.(Describe|Get|List|Filter|BatchGet)")
REPEATABLE = re.compile(r"\.(PutObject|PutMetricAlarm|PutMetricData|Delete|SetDesiredCapacity|UpdateAutoScalingGroup)")
"""Sent twice, these leave what they leave when sent once."""
WAYS = ("forward", "rollback")


@dataclasses.dataclass(frozen=True)
class Point:
    """A call of a scenario's run."""

    number: int
    """From 0, in the whole run."""
    call: str
    status: str
    """Of the release, and how many steps have passed."""
    tick: str
    """All calls of the tick around it."""
    at: int
    """Where it stands among these."""

    @property
    def reads(self) -> bool:
        """Whether the call changes nothing, so that before and after it are the same."""
        return READING.search(self.call) is not None

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice is no different from sending it once."""
        return REPEATABLE.search(self.call) is not None


@dataclasses.dataclass(frozen=True)
class Variant:
    """One trouble at one point, and who comes next."""

    point: Point
    trouble: Trouble
    way: str


def distinct(ticks: t.Iterable[t.Sequence[t.Any]]) -> t.Iterator[Point]:
    """The calls of ticks that differ in status, step or calls; a tick that repeats an earlier one adds nothing."""
    number, seen = 0, set()
    for status, calls in ticks:
        fresh = (status, *calls) not in seen
        seen.add((status, *calls))
        yield from (Point(number + at, call, status, " ".join(calls), at) for at, call in enumerate(calls) if fresh)
        number += len(calls)


def kills(points: t.Iterable[Point]) -> t.Iterator[Variant]:
    """A read changes nothing, so that to die at it is to die after the change before it: one a status and operation.

    After one change is before the next: of the two, one is followed by a forward run, the other by a rollback.
    """
    read: set[tuple[str, str]] = set()
    for index, point in enumerate(points):
        if not point.reads:
            yield Variant(point, Trouble.KILLED_BEFORE, "rollback")
            yield Variant(point, Trouble.KILLED_AFTER, "forward")
            if not point.repeatable:
                yield Variant(point, Trouble.KILLED_RESENT, WAYS[index % 2])
        elif (point.status, point.call) not in read:
            read.add((point.status, point.call))
            yield Variant(point, Trouble.KILLED_BEFORE, WAYS[index % 2])


FAILING = (Trouble.THROTTLED, Trouble.ERROR500, Trouble.TIMED_OUT)


def faults(points: t.Iterable[Point], met: set[str]) -> t.Iterator[Variant]:
    """Every call fails once, in turns, and each operation in every way; a change is lost on its way back as well.

    A read that is lost or sent twice is no different from one that never arrives. ``met`` keeps the operations that
    have failed in every way.
    """
    for index, point in enumerate(points):
        troubles = [FAILING[index % 3]] if point.call in met else [*FAILING]
        met.add(point.call)
        if not point.reads:
            troubles += [Trouble.REPLY_LOST] if point.repeatable else [Trouble.REPLY_LOST, Trouble.RESENT]
        yield from (Variant(point, trouble, WAYS[(index + turn) % 2]) for turn, trouble in enumerate(troubles))


class Choice:
    """What is tried of each scenario, given what earlier ones have shown already."""

    def __init__(self, kinds: str) -> None:
        self._kinds = kinds
        self._killed: set[tuple[str, ...]] = set()
        self._failed: set[tuple[str, ...]] = set()
        self._met: dict[str, set[str]] = {}

    def variants(self, goal: str, points: t.Sequence[Point]) -> list[Variant]:
        """At calls that no earlier scenario had: what a run of another goal leaves when it dies there is the same."""
        chosen: list[Variant] = []
        if self._kinds != "faults":
            chosen += kills(_unseen(points, self._killed))
        if self._kinds != "kills":
            chosen += faults(_unseen(points, self._failed), self._met.setdefault(goal, set()))
        return chosen


def _unseen(points: t.Sequence[Point], seen: set[tuple[str, ...]]) -> list[Point]:
    """Those that are not among ``seen``, where they are noted."""
    fresh = [point for point in points if (point.status, point.tick, str(point.at)) not in seen]
    seen.update((point.status, point.tick, str(point.at)) for point in fresh)
    return fresh
