# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: percentages as users write them, and what they mean for a group of a given size."""

from __future__ import annotations

import math
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._release.plan import (
    Plan,
    make_plan,
    plan_from_dict,
    step_reached,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.steps import Wish, wishes


def percentages(percentage: str | None, steps: t.Sequence[t.Any]) -> tuple[int, ...]:
    return tuple(wish.percentage for wish in wishes(percentage, steps))


def plan(size: int, checkpoints: tuple[int, ...], surge: bool = True) -> Plan:
    return make_plan(
        size,
        [Wish(point) for point in checkpoints],
        checkpoint_delay=60,
        bake_time=60,
        replacement_seconds=30,
        surge=surge,
    )


@pytest.mark.parametrize(
    ("percentage", "expected"),
    [
        ("20", (20, 40, 60, 80, 100)),
        ("30", (30, 60, 90, 100)),
        ("100", (100,)),
        ("60", (60, 100)),
        (None, (20, 40, 60, 80, 100)),
    ],
)
def test_percentage_is_the_share_of_each_step(percentage: str | None, expected: tuple[int, ...]) -> None:
    assert percentages(percentage, []) == expected


def test_steps_are_taken_as_given() -> None:
    assert percentages(None, ["5", "25", "100"]) == (5, 25, 100)


@pytest.mark.parametrize("text", ["0", "101", "abc", "-5", "2.5", ""])
def test_a_wrong_percentage_is_named(text: str) -> None:
    with pytest.raises(InvalidInput, match=rf"percentage={text} is not a whole number from 1 to 100"):
        percentages(text, [])


@pytest.mark.parametrize("steps", [["50"], ["50", "20", "100"], ["20", "20", "100"]])
def test_wrong_steps_are_named(steps: list[str]) -> None:
    with pytest.raises(InvalidInput, match="must rise and end with 100"):
        percentages(None, steps)


@pytest.mark.parametrize(
    ("size", "instances", "skipped"),
    [
        (1, [1, 1, 1, 1, 1], 4),
        (2, [1, 1, 2, 2, 2], 3),
        (5, [1, 2, 3, 4, 5], 0),
        (10, [2, 4, 6, 8, 10], 0),
        (20, [4, 8, 12, 16, 20], 0),
    ],
)
def test_twenty_percent_of_small_and_large_groups(size: int, instances: list[int], skipped: int) -> None:
    made = plan(size, (20, 40, 60, 80, 100))
    assert [step.instances for step in made.steps] == instances
    assert sum(step.skipped for step in made.steps) == skipped


def test_a_group_of_one_launches_before_it_terminates() -> None:
    made = plan(1, (20, 40, 60, 80, 100))
    assert (made.floor, made.ceiling, made.max_healthy_percentage) == (1, 2, 200)


def test_without_surge_the_dip_is_shown() -> None:
    made = plan(5, (20, 100), surge=False)
    assert (made.floor, made.ceiling) == (4, 5)


@given(st.integers(0, 200), st.integers(1, 100), st.booleans())
def test_every_plan_holds_together(size: int, percentage: int, surge: bool) -> None:
    made = plan(size, percentages(str(percentage), []), surge)
    counts = [step.instances for step in made.judged]
    assert counts == sorted(set(counts))
    assert counts[-1] == made.size == max(size, 1)
    assert all(step.instances == math.ceil(made.size * step.percentage / 100) for step in made.steps)
    assert 0 <= made.floor <= made.size <= made.ceiling <= 2 * made.size
    assert made.max_healthy_percentage - made.min_healthy_percentage <= 100
    assert not surge or made.ceiling > made.floor
    assert plan_from_dict(made.as_dict()) == made


@given(st.integers(1, 200), st.integers(1, 100), st.data())
def test_a_step_is_reached_when_its_instances_run(size: int, percentage: int, data: st.DataObject) -> None:
    made = plan(size, percentages(str(percentage), []))
    replaced = data.draw(st.integers(0, size))
    reached = step_reached(made, replaced, size)
    assert all(step.instances <= replaced for step in made.judged[:reached])
    assert all(step.instances > replaced for step in made.judged[reached:])
