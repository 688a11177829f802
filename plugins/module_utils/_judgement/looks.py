# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""When a candidate is looked at, and how much of the release's false-alarm limit each look may use. Pure.

A test that is repeated until it fails fails in the end. So the looks are fixed by the data: after 4, 10, 20, 50, 100,
200, 500, … jobs, and once more at everything when a step would pass. Each has its part of the limit, and all parts add
up to it, over all looks, steps and tests (Bonferroni's inequality; spending the level over looks: K. K. G. Lan and
D. L. DeMets, Discrete sequential boundaries for clinical trials, Biometrika 70, 1983). Whoever asks again at the same
look gets the same answer, so neither the polling interval nor a crash changes the limit.
"""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

SMALLEST = 4
AT_LOOKS = 0.8
"""Part of the limit for the looks at fixed numbers; the rest is for the last look of each step."""
WHOLE = 0.5
"""Part for looks at all jobs of the release; the rest is for those at a step's own."""
DECAY = 2.0


@dataclasses.dataclass(frozen=True)
class Look:
    """One look at the first ``size`` jobs of a sample."""

    size: int
    number: int
    """1 for the smallest look; 0 for the last of a step."""


def sizes() -> t.Iterator[int]:
    """The numbers of jobs at which a sample is looked at."""
    yield SMALLEST
    for power in itertools.count(1):
        yield from (digit * 10**power for digit in (1, 2, 5))


def newest(count: int) -> Look | None:
    """The latest look that a sample of that many jobs has reached."""
    reached = list(itertools.takewhile(lambda size: size <= count, sizes()))
    return Look(reached[-1], len(reached)) if reached else None


def weight(number: int) -> float:
    """Part of the ``number``-th look of infinitely many; they add up to 1, the heaviest are the first two."""
    return number / DECAY ** (number + 1)


def step_part(step: int) -> float:
    """Part of a step of any number of steps; they add up to 1."""
    return 1 / (step * (step + 1))


def level(look: Look, step: int, scope: t.Literal["release", "step", "both"], skipped: int = 0) -> float:
    """Part of the limit for one look of one test; ``skipped`` is how many looks are too small for that test.

    At the first step a look at the release is a look at the step (``both``), and has both parts.
    """
    if look.number == 0:
        part = (1 - AT_LOOKS) * step_part(step)
        return part if scope == "both" else part / 2
    if look.number <= skipped:
        return 0.0
    whole = WHOLE if scope != "step" else 0.0
    own = (1 - WHOLE) * step_part(step) if scope != "release" else 0.0
    return AT_LOOKS * (whole + own) * weight(look.number - skipped)
