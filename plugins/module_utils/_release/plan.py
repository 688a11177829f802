# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The plan of a release: how many instances run the candidate at each step. Pure."""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._release.steps import Wish

MAX_HEALTHY_LIMIT = 200
"""MaxHealthyPercentage of an instance refresh goes no higher (StartInstanceRefresh API reference)."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One checkpoint; what is None is as the run has it. Records from before know only the first three."""

    percentage: int
    instances: int
    skipped: bool
    """True where this group is too small for the checkpoint: the next one runs as many instances."""
    bake: int | None = None
    min_jobs: int | None = None
    pause: bool = False
    """Whether the release pauses once this step has passed; a skipped step hands its pause on to the next."""
    on_inconclusive: str | None = None


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
    """From the start to the end, pauses left out."""

    @property
    def judged(self) -> tuple[Step, ...]:
        """The steps that take place."""
        return tuple(step for step in self.steps if not step.skipped)

    def stop(self, passed: int, reached: int) -> Step:
        """The step to judge when ``reached`` steps are reached and ``passed`` have passed: a leap keeps the pauses."""
        leapt = self.judged[passed:reached]
        return dataclasses.replace(self.judged[reached - 1], pause=any(step.pause for step in leapt))

    def as_dict(self) -> dict[str, t.Any]:
        """For results and the history."""
        return dataclasses.asdict(self) | {"steps": [dataclasses.asdict(step) for step in self.steps]}

    def lines(self) -> list[str]:
        """For people."""
        head = f"group of {self.size}: in service never below {self.floor}, at most {self.ceiling}"
        rows = [_row(step, self.size) for step in self.steps]
        return [head, *rows, f"takes about {self.expected_seconds} s"]


def surge_note(plan: Plan, maximum: int) -> str:
    """A surge above the group's maximum: AWS does not say whether the maximum holds for replacements."""
    if plan.ceiling <= maximum:
        return ""
    return (
        f"note: {plan.ceiling} instances for a while is more than the group's maximum of {maximum}; should the refresh "
        "not move, raise fleet_max_size or set fleet_release_surge=false"
    )


def _row(step: Step, size: int) -> str:
    if step.skipped:
        return f"{step.percentage:3d} %: skipped, a group of {size} goes to {step.instances} with the next step"
    return f"{step.percentage:3d} %: {step.instances} of {size} instances{_wanted(step)}"


def _wanted(step: Step) -> str:
    """What is asked of this step beyond the run's settings."""
    parts = [
        f"judged for {step.bake} s at least" if step.bake is not None else "",
        f"{step.min_jobs} jobs at least" if step.min_jobs is not None else "",
        f"{step.on_inconclusive} without a verdict" if step.on_inconclusive else "",
        "then paused until promote.yml" if step.pause else "",
    ]
    said = ", ".join(part for part in parts if part)
    return f", {said}" if said else ""


def plan_from_dict(record: t.Mapping[str, t.Any]) -> Plan:
    """The inverse of ``as_dict``."""
    return Plan(**{**record, "steps": tuple(Step(**step) for step in record["steps"])})


def make_plan(
    size: int,
    wishes: t.Sequence[Wish],
    *,
    checkpoint_delay: int,
    bake_time: int,
    replacement_seconds: int,
    surge: bool = True,
    start: int = 0,
) -> Plan:
    """Plan a release of a group of ``size`` instances (0 counts as 1: the group is woken for it), from a share on."""
    size = max(size, 1)
    low, high = _bounds(size, [start, *(wish.percentage for wish in wishes)]) if surge else (90, 100)
    steps = _steps(size, wishes)
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
        expected_seconds=max(stops - 1, 0) * checkpoint_delay + bake_time + stops * replacement_seconds,
    )


def _steps(size: int, wishes: t.Sequence[Wish]) -> tuple[Step, ...]:
    """Instances at each; of several with as many instances only the last takes place, with the pauses of all."""
    counts = [_ceil_share(size, wish.percentage) for wish in wishes]
    pausing = {count for wish, count in zip(wishes, counts, strict=True) if wish.pause}
    made = []
    for index, (wish, count) in enumerate(zip(wishes, counts, strict=True)):
        skipped = count in counts[index + 1 :]
        asked = dataclasses.asdict(wish) | {"pause": wish.pause if skipped else count in pausing}
        made.append(Step(instances=count, skipped=skipped, **asked))
    return tuple(made)


def onward(plan: Plan, passed: int, size: int, *, replacement_seconds: int, surge: bool) -> Plan:
    """What is left of a plan after ``passed`` steps, for a group that has ``size`` instances now."""
    left = [
        Wish(step.percentage, step.bake, step.min_jobs, step.pause, step.on_inconclusive)
        for step in plan.judged[passed:]
    ]
    return make_plan(
        size,
        left,
        checkpoint_delay=plan.checkpoint_delay,
        bake_time=plan.bake_time if left else 0,
        replacement_seconds=replacement_seconds,
        surge=surge,
        start=plan.judged[passed - 1].percentage if passed else 0,
    )


def in_full(plan: Plan, passed: int) -> Plan:
    """The plan with everything after ``passed`` steps in a single one, which neither stops nor pauses on its way."""
    whole = dataclasses.replace(plan.judged[-1], pause=False)
    return dataclasses.replace(plan, steps=(*plan.judged[:passed], whole) if passed < len(plan.judged) else plan.judged)


def _bounds(size: int, shares: t.Sequence[int]) -> tuple[int, int]:
    """Launch before terminate: room for the largest step, and for one instance at least."""
    jumps = [high - low for low, high in itertools.pairwise(shares)]
    one_more = -(-100 * (size + 1) // size)
    return 100, min(MAX_HEALTHY_LIMIT, max(100 + max(jumps, default=0), one_more))


def _ceil_share(size: int, percentage: int) -> int:
    return -(-size * percentage // 100)


def step_reached(plan: Plan, replaced: int, size: int) -> int:
    """How many of the judged steps a group of now ``size`` has reached with ``replaced`` of the candidate."""
    return sum(_ceil_share(max(size, 1), step.percentage) <= replaced for step in plan.judged)
