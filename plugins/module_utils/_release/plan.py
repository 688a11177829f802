# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The plan of a release: how many instances run the candidate at each step. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput

DEFAULT_PERCENTAGE = "20"
"""What each step adds when nothing else is asked for."""
MAX_HEALTHY_LIMIT = 200
"""MaxHealthyPercentage of an instance refresh goes no higher (StartInstanceRefresh API reference)."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One checkpoint."""

    percentage: int
    instances: int
    skipped: bool
    """True where this group is too small for the checkpoint: the next one runs as many instances."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the release will do to the group."""

    size: int
    steps: tuple[Step, ...]
    floor: int
    ceiling: int
    min_healthy_percentage: int
    max_healthy_percentage: int
    """100 stands for none given: terminate and launch together, never above the desired capacity."""
    checkpoint_delay: int
    """Seconds between a checkpoint and the next replacement."""
    bake_time: int
    """Seconds between the last replacement and the end."""
    expected_seconds: int

    @property
    def judged(self) -> tuple[Step, ...]:
        """The steps that take place."""
        return tuple(step for step in self.steps if not step.skipped)

    def as_dict(self) -> dict[str, t.Any]:
        """For results and the history."""
        return dataclasses.asdict(self) | {"steps": [dataclasses.asdict(step) for step in self.steps]}

    def lines(self) -> list[str]:
        """For people."""
        head = f"group of {self.size}: in service never below {self.floor}, at most {self.ceiling}"
        rows = [_row(step, self.size) for step in self.steps]
        return [head, *rows, f"takes about {self.expected_seconds} s"]


def _row(step: Step, size: int) -> str:
    if step.skipped:
        return f"{step.percentage:3d} %: skipped, a group of {size} goes to {step.instances} with the next step"
    return f"{step.percentage:3d} %: {step.instances} of {size} instances"


def plan_from_dict(record: t.Mapping[str, t.Any]) -> Plan:
    """The inverse of ``as_dict``."""
    return Plan(**{**record, "steps": tuple(Step(**step) for step in record["steps"])})


def percentages(percentage: str | None, steps: t.Sequence[str] | None) -> tuple[int, ...]:
    """The checkpoints that the user asked for: ``percentage`` repeated up to 100, or ``steps`` as given.

    Raises: InvalidInput.
    """
    if steps:
        return _explicit([_whole("steps", text) for text in steps])
    share = _whole("percentage", DEFAULT_PERCENTAGE if percentage is None else percentage)
    return (*range(share, 100, share), 100)


def _explicit(values: list[int]) -> tuple[int, ...]:
    if values != sorted(set(values)) or values[-1] != 100:
        raise InvalidInput(f"steps={values} must rise and end with 100, as in steps=[5, 25, 100].")
    return tuple(values)


def _whole(field: str, text: str) -> int:
    try:
        value = int(str(text).strip())
    except ValueError:
        value = -1
    if not 1 <= value <= 100:
        raise InvalidInput(f"{field}={text} is not a whole number from 1 to 100; for example -e percentage=20.")
    return value


def make_plan(
    size: int,
    checkpoints: t.Sequence[int],
    *,
    checkpoint_delay: int,
    bake_time: int,
    replacement_seconds: int,
    surge: bool = True,
) -> Plan:
    """Plan a release of a group of ``size`` instances (0 counts as 1: the group is woken for it)."""
    size = max(size, 1)
    counts = [_ceil_share(size, percentage) for percentage in checkpoints]
    steps = tuple(
        Step(percentage, count, skipped=count in counts[index + 1 :])
        for index, (percentage, count) in enumerate(zip(checkpoints, counts, strict=True))
    )
    low, high = _bounds(size, checkpoints) if surge else (90, 100)
    stops = sum(not step.skipped for step in steps)
    return Plan(
        size=size,
        steps=steps,
        floor=size if surge else min(size * low // 100, size - 1),
        ceiling=_ceil_share(size, high),
        min_healthy_percentage=low,
        max_healthy_percentage=high,
        checkpoint_delay=checkpoint_delay,
        bake_time=bake_time,
        expected_seconds=(stops - 1) * checkpoint_delay + bake_time + stops * replacement_seconds,
    )


def _bounds(size: int, checkpoints: t.Sequence[int]) -> tuple[int, int]:
    """Launch before terminate: room for the largest step, and for one instance at least."""
    jumps = [high - low for low, high in zip((0, *checkpoints), checkpoints, strict=False)]
    one_more = -(-100 * (size + 1) // size)
    return 100, min(MAX_HEALTHY_LIMIT, max(100 + max(jumps), one_more))


def _ceil_share(size: int, percentage: int) -> int:
    return -(-size * percentage // 100)


def step_reached(plan: Plan, replaced: int, size: int) -> int:
    """How many of the judged steps a group of now ``size`` has reached with ``replaced`` of the candidate."""
    return sum(_ceil_share(max(size, 1), step.percentage) <= replaced for step in plan.judged)
