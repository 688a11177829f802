# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back where nothing helps: what ends instances must itself end. Values in, values out."""

from __future__ import annotations

import datetime as dt

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger, Release, Status
from ansible_collections.diffusion.fleet.plugins.module_utils._release.retreat import (
    MAX_BACK_STARTS,
    after_ending,
    retreat,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import (
    Action,
    Context,
    Goal,
    Group,
    Kind,
    Member,
    Observation,
    Options,
)

STABLE = Release("1.0.0", "sha256:1", "aaaaaaaaaaaa", "2")


def seen(desired: int, foreign: int, generation: int, context: Context) -> Observation:
    """A group of so many, some of which run another template, whatever is ended."""
    members = [
        Member(f"i-{generation}{number}", "InService", "other:2" if number < foreign else "2")
        for number in range(desired)
    ]
    return Observation(
        now=dt.datetime(2026, 11, 23, tzinfo=dt.UTC),
        options=Options("demo", Goal.ROLLED_BACK, "run", "tester", "here"),
        context=context,
        ledger=Ledger(stable=STABLE, status=Status.ROLLING_BACK),
        group=Group("sd", "arn", desired, 99, "2", tuple(members)),
        projections={},
    )


def end_all(desired: int, foreign: int) -> tuple[list[Action], Action]:
    """What is done while every instance that is ended comes back as it was."""
    context, done = Context(back_starts=MAX_BACK_STARTS), []
    for generation in range(500):
        look = seen(desired, foreign, generation, context)
        action = retreat(look)
        if action.kind is not Kind.TERMINATE:
            return done, action
        done.append(action)
        context = after_ending(look, len(action.instances))
    raise AssertionError("instances are ended for ever")


@pytest.mark.parametrize(("desired", "foreign", "most"), [(1, 1, 2), (5, 5, 6), (5, 2, 3), (40, 40, 44)])
def test_what_keeps_coming_back_is_ended_once_and_then_reported(desired: int, foreign: int, most: int) -> None:
    done, last = end_all(desired, foreign)
    assert sum(len(action.instances) for action in done) == most
    assert last.kind is Kind.REFUSE
    assert isinstance(last.failure, FleetError)
    assert f"{most} instances were ended and group sd still launches something other than 1.0.0" in last.line
    assert "run rollback.yml again" in last.line


def test_a_small_group_says_that_it_goes_below_the_floor() -> None:
    alone, small, large = (end_all(desired, desired)[0][0].line for desired in (1, 2, 40))
    assert alone.endswith("0 of 1 stay in service meanwhile, below 90 %: so small a group has none to spare")
    assert "; 1 of 2 stay in service meanwhile" in small
    assert large == "going back: ending 4 of 40 instances that refreshes left"


def test_instances_of_another_template_are_strangers_whatever_their_number() -> None:
    group = seen(5, 2, 0, Context()).group
    assert (group.serving("2"), group.strangers("2")) == (3, 2)
