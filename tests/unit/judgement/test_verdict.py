# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict: what fails a candidate, what does not, and that our exact test is Fisher's."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, fisher_exact

from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.verdict import (
    Job,
    Limits,
    binomial_at_least,
    fisher_greater,
    judge,
)

LIMITS = Limits(min_jobs=5, min_latency_jobs=3)
PIXELS = 512 * 512


def jobs(count: int, *, failed: int = 0, refused: int = 0, draw_ms: float = 1000.0) -> list[Job]:
    """That many finished jobs of a warm instance, the first ones failed or refused."""
    kinds = ["handed_back"] * failed + ["failed"] * refused + ["succeeded"] * (count - failed - refused)
    errors = {"handed_back": "transient", "failed": "invalid_request", "succeeded": None}
    return [Job(kind, errors[kind], draw_ms, 20, PIXELS, sequence=index + 10) for index, kind in enumerate(kinds)]


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_the_exact_test_agrees_with_scipy(bad: int, good: int, other_bad: int, other_good: int) -> None:
    expected = fisher_exact([[bad, good], [other_bad, other_good]], alternative="greater").pvalue
    assert fisher_greater(bad, bad + good, other_bad, other_bad + other_good) == pytest.approx(expected, abs=1e-9)


def test_a_candidate_like_stable_passes() -> None:
    assert judge(jobs(10), jobs(40), LIMITS).outcome == "pass"


def test_failing_jobs_fail_the_candidate_before_the_minimum_of_jobs_is_reached() -> None:
    verdict = judge(jobs(2, failed=2), jobs(40), LIMITS)
    assert verdict.outcome == "fail"
    assert "2 of 2 jobs failed, more than on stable" in verdict.sentence


def test_one_failure_never_fails_a_release() -> None:
    assert judge(jobs(6, failed=1), jobs(400), LIMITS).outcome == "pass"


def test_a_share_below_the_absolute_limit_fails_when_stable_has_none() -> None:
    verdict = judge(jobs(100, failed=8), jobs(1000), LIMITS)
    assert verdict.outcome == "fail"
    assert verdict.failure_p_value < LIMITS.significance


def test_requests_refused_by_the_candidate_only_fail_it() -> None:
    assert judge(jobs(30, refused=8), jobs(300), LIMITS).outcome == "fail"


def test_requests_refused_on_both_sides_are_the_clients_fault() -> None:
    assert judge(jobs(30, refused=8), jobs(300, refused=80), LIMITS).outcome == "pass"


def test_too_few_jobs_are_no_verdict() -> None:
    verdict = judge(jobs(4), jobs(40), LIMITS)
    assert verdict.outcome == "inconclusive"
    assert "4 of the 5 finished jobs needed" in verdict.sentence


def test_only_jobs_of_this_step_count_towards_the_minimum() -> None:
    assert judge(jobs(50), jobs(40), LIMITS, fresh=1).outcome == "inconclusive"


def test_a_slower_candidate_fails() -> None:
    verdict = judge(jobs(10, draw_ms=2000), jobs(40), LIMITS)
    assert verdict.outcome == "fail"
    assert verdict.latency_ratio == pytest.approx(2.0)


def test_more_work_is_not_slower() -> None:
    double = [Job("succeeded", None, 2000.0, 40, PIXELS, sequence=10 + index) for index in range(10)]
    assert judge(double, jobs(40), LIMITS).latency_ratio == pytest.approx(1.0)


def test_the_first_jobs_of_an_instance_do_not_count_for_latency() -> None:
    cold = [Job("succeeded", None, 9000.0, 20, PIXELS, sequence=index) for index in (1, 2)]
    assert judge(cold + jobs(10), jobs(40), LIMITS).latency_ratio == pytest.approx(1.0)


def test_a_first_release_is_judged_by_absolute_limits_alone() -> None:
    assert judge(jobs(5), [], LIMITS).outcome == "pass"
    verdict = judge(jobs(5, failed=4), [], LIMITS)
    assert verdict.outcome == "fail"
    assert "4 of 5 jobs failed, more than 10%" in verdict.sentence


def test_what_fails_everywhere_is_not_held_against_the_candidate() -> None:
    assert judge(jobs(20, failed=8), jobs(200, failed=90), LIMITS).outcome == "pass"


def test_a_first_release_that_refuses_everything_does_not_pass() -> None:
    assert judge(jobs(12, refused=12), [], LIMITS).outcome == "inconclusive"


def test_a_refused_smoke_request_is_a_failure_because_it_is_known_to_be_good() -> None:
    smoke = [dataclasses.replace(job, smoke=True) for job in jobs(4, refused=4)]
    assert judge(smoke, jobs(40), LIMITS).outcome == "fail"


@given(st.integers(0, 40), st.integers(0, 60), st.sampled_from([0.01, 0.1, 0.5]))
def test_the_binomial_tail_agrees_with_scipy(bad: int, more: int, share: float) -> None:
    assert binomial_at_least(bad, bad + more, share) == pytest.approx(binom.sf(bad - 1, bad + more, share), abs=1e-9)


def test_large_samples_are_judged_at_once() -> None:
    expected = fisher_exact([[200, 9800], [3000, 57000]], alternative="greater").pvalue
    assert fisher_greater(200, 10000, 3000, 60000) == pytest.approx(expected, abs=1e-9)
