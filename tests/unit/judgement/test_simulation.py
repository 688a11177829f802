# SPDX-License-Identifier: GPL-3.0-or-later
"""A sample of campaign/judgement.py: what must be promoted is, and what must be caught is, at fixed seeds."""

from __future__ import annotations

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.comparisons import Limits
from campaign import judgement
from campaign.judgement import Fleet, Kind, caught, count, promoted, release


@pytest.mark.parametrize("base", judgement.BASES)
def test_identical_releases_are_promoted(base: float) -> None:
    assert promoted(count(20, Fleet(), Kind(failing=base), Kind(failing=base))) >= 0.98


@pytest.mark.parametrize("base", judgement.BASES)
def test_thirty_percent_of_failing_jobs_are_caught_at_the_first_step(base: float) -> None:
    assert caught(count(60, Fleet(), Kind(failing=base), Kind(failing=0.3), steps=1)) >= 0.95


@pytest.mark.parametrize("base", judgement.BASES)
def test_twice_as_slow_is_caught_at_the_first_step(base: float) -> None:
    assert caught(count(60, Fleet(), Kind(failing=base), Kind(failing=base, slower=2.0), steps=1)) >= 0.95


def test_a_candidate_that_fails_every_job_goes_back_after_ten_jobs_at_most() -> None:
    ended = count(20, Fleet(), Kind(failing=0.02), Kind(failing=1.0), steps=1)
    assert caught(ended) == 1
    assert max(one.jobs for one in ended) <= 10


def test_a_fault_that_begins_late_is_caught_at_its_step() -> None:
    ended = count(10, Fleet(), Kind(failing=0.02), Kind(failing=0.3, from_step=3))
    assert {one.step for one in ended} == {3}


@pytest.mark.parametrize("kind", [Kind(), Kind(failing=0.02), Kind(failing=0.15), Kind(slower=1.6)])
def test_asking_at_every_poll_changes_nothing(kind: Kind) -> None:
    at_looks, at_polls = (
        release(7, Fleet(), Kind(failing=0.02), kind, Limits(), steps=2, every_poll=every_poll)
        for every_poll in (False, True)
    )
    assert at_looks == at_polls
