# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps as users write them, and the plans they make for groups of any size."""

from __future__ import annotations

import json
import math
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._release.plan import (
    Plan,
    in_full,
    make_plan,
    onward,
    plan_from_dict,
    surge_note,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.steps import ON_INCONCLUSIVE, Wish, wishes

SHARES = st.lists(st.integers(1, 99), unique=True, max_size=8).map(lambda rows: [*sorted(rows), 100])


@st.composite
def steps(draw: st.DrawFn) -> tuple[Wish, ...]:
    """Any steps there can be."""
    return tuple(
        Wish(
            share,
            draw(st.none() | st.integers(0, 1000)),
            draw(st.none() | st.integers(0, 100)),
            draw(st.booleans()),
            draw(st.none() | st.sampled_from(ON_INCONCLUSIVE)),
        )
        for share in draw(SHARES)
    )


def plan(size: int, asked: t.Sequence[Wish], surge: bool = True) -> Plan:
    return make_plan(size, asked, checkpoint_delay=60, bake_time=60, replacement_seconds=30, surge=surge)


def test_numbers_and_objects_may_be_mixed() -> None:
    full = {"percentage": 5, "bake": 60, "min_jobs": 30, "pause": True, "on_inconclusive": "pass"}
    assert wishes(None, [full, "25", 100]) == (Wish(5, 60, 30, True, "pass"), Wish(25), Wish(100))


def test_text_from_the_command_line_is_understood() -> None:
    assert wishes(None, [{"percentage": "100", "bake": "0", "pause": "yes"}]) == (Wish(100, bake=0, pause=True),)
    assert wishes(None, ["[5", " 25", " 100]"]) == (Wish(5), Wish(25), Wish(100))


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        ({"bake": 60}, r"steps\[0\] has no percentage; for example"),
        ({"percentage": 5, "min_job": 3}, r"steps\[0\]: unknown field min_job; a step has percentage, bake, min_jobs"),
        ({"percentage": 0}, r"steps\[0\]\.percentage=0 is not a whole number from 1 to 100"),
        ({"percentage": True}, r"steps\[0\]\.percentage=True is not a whole number"),
        ({"percentage": 5, "bake": "long"}, r"steps\[0\]\.bake=long is not a whole number of seconds"),
        ({"percentage": 5, "bake": -1}, r"steps\[0\]\.bake=-1 is not a whole number of seconds"),
        ({"percentage": 5, "min_jobs": 2.5}, r"steps\[0\]\.min_jobs=2\.5 is not a whole number of jobs"),
        ({"percentage": 5, "pause": "perhaps"}, r"steps\[0\]\.pause=perhaps is neither true nor false"),
        ({"percentage": 5, "on_inconclusive": "wait"}, r"on_inconclusive=wait is not one of fail, pass, pause"),
        ("[5", r"steps=\[5,100 is not a list; write"),
    ],
)
def test_a_wrong_step_is_named_with_its_value_and_what_to_write(step: t.Any, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        wishes(None, [step, "100"])


def test_a_step_too_small_for_the_group_hands_its_pause_on() -> None:
    made = plan(2, (Wish(10, bake=99, pause=True), Wish(50), Wish(100)))
    assert [(step.percentage, step.skipped, step.pause, step.bake) for step in made.steps] == [
        (10, True, True, 99),
        (50, False, True, None),
        (100, False, False, None),
    ]
    assert made.lines()[2] == " 50 %: 1 of 2 instances, then paused until promote.yml"


def test_a_surge_above_the_maximum_is_told() -> None:
    made = plan(5, (Wish(20), Wish(100)))
    assert surge_note(made, 10) == ""
    assert surge_note(made, 8).startswith("note: 9 instances for a while is more than the group's maximum of 8")


def test_a_record_from_before_is_read() -> None:
    record = plan(5, (Wish(20), Wish(100))).as_dict()
    old = {
        **record,
        "steps": [{name: row[name] for name in ("percentage", "instances", "skipped")} for row in record["steps"]],
    }
    assert plan_from_dict(json.loads(json.dumps(old))) == plan(5, (Wish(20), Wish(100)))


@given(st.integers(0, 200), steps(), st.booleans())
def test_any_steps_make_a_plan_that_holds_together(size: int, asked: tuple[Wish, ...], surge: bool) -> None:
    made = plan(size, asked, surge)
    counts = [step.instances for step in made.judged]
    assert counts == sorted(set(counts))
    assert counts[-1] == made.size == max(size, 1)
    assert all(step.instances == math.ceil(made.size * step.percentage / 100) for step in made.steps)
    assert any(wish.pause for wish in asked) == any(step.pause for step in made.judged)
    assert 0 <= made.floor <= made.size <= made.ceiling <= 2 * made.size
    assert made.max_healthy_percentage - made.min_healthy_percentage <= 100
    assert not surge or (made.ceiling > made.floor == made.size)
    assert made.expected_seconds == 60 * len(counts) + 30 * len(counts)
    assert plan_from_dict(json.loads(json.dumps(made.as_dict()))) == made


@given(st.integers(1, 200), st.integers(0, 200), steps(), st.data())
def test_what_is_left_of_a_plan_is_a_plan(size: int, later: int, asked: tuple[Wish, ...], data: st.DataObject) -> None:
    made = plan(size, asked)
    passed = data.draw(st.integers(0, len(made.judged)))
    left = onward(made, passed, later, replacement_seconds=30, surge=True)
    assert [step.percentage for step in left.steps] == [step.percentage for step in made.judged[passed:]]
    assert left.size == max(later, 1)
    assert (left.bake_time == 0) == (passed == len(made.judged))
    assert left.ceiling > left.floor == left.size


@given(st.integers(1, 200), steps(), st.data())
def test_the_rest_at_once_is_one_judged_step(size: int, asked: tuple[Wish, ...], data: st.DataObject) -> None:
    made = plan(size, asked)
    passed = data.draw(st.integers(0, len(made.judged)))
    whole = in_full(made, passed)
    assert whole.judged[:passed] == made.judged[:passed]
    assert len(whole.judged) == min(passed + 1, len(made.judged))
    assert in_full(whole, passed) == whole
    assert passed == len(made.judged) or (whole.judged[-1].percentage, whole.judged[-1].pause) == (100, False)


@given(st.integers(1, 200), steps(), st.data())
def test_a_leap_over_steps_keeps_their_pauses(size: int, asked: tuple[Wish, ...], data: st.DataObject) -> None:
    made = plan(size, asked)
    reached = data.draw(st.integers(1, len(made.judged)))
    passed = data.draw(st.integers(0, reached - 1))
    stop = made.stop(passed, reached)
    assert stop.percentage == made.judged[reached - 1].percentage
    assert stop.pause == any(step.pause for step in made.judged[passed:reached])
