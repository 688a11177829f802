# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict: what fails a candidate, and what does not."""

from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.comparisons import Limits
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.jobs import Job, parse_lines
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.verdict import Stage, Verdict, judge

LIMITS = Limits(min_jobs=5, min_latency_jobs=3)
PIXELS = 512 * 512


def jobs(count: int, *, failed: int = 0, error: str = "transient", draw_ms: float = 1000.0) -> list[Job]:
    """That many finished jobs of a warm instance, one a second, the first ones failed."""
    kinds = ["handed_back"] * failed + ["succeeded"] * (count - failed)
    return [
        Job(kind, error if kind != "succeeded" else None, draw_ms, 20, PIXELS, index + 10, at=float(index))
        for index, kind in enumerate(kinds)
    ]


def worse(verdict: Verdict) -> set[str]:
    """The comparisons that failed the candidate."""
    return {finding.comparison for finding in verdict.findings if finding.worse}


def test_a_candidate_like_stable_passes() -> None:
    verdict = judge(jobs(10), jobs(40), LIMITS)
    assert verdict.outcome == "pass"
    assert verdict.sentence.startswith("not worse than stable (candidate 0/10 failed, stable 0/40 failed")


def test_failing_jobs_fail_the_candidate_before_the_minimum_of_jobs_is_reached() -> None:
    late = [dataclasses.replace(job, at=job.at + 100) for job in jobs(4, failed=4)]
    verdict = judge(late, jobs(40), Limits(min_jobs=20))
    assert verdict.outcome == "fail"
    assert "4 of 4 jobs failed, more than on stable" in verdict.sentence


def test_four_failures_of_four_suffice_even_beside_very_few_jobs_of_stable() -> None:
    verdict = judge(jobs(4, failed=4), jobs(2), LIMITS)
    assert worse(verdict) == {"failure limit"}


def test_one_failure_never_fails_a_release() -> None:
    assert judge(jobs(6, failed=1), jobs(40000), dataclasses.replace(LIMITS, false_alarms=0.5)).outcome == "pass"


def test_a_share_below_the_absolute_limit_fails_when_stable_has_none() -> None:
    verdict = judge(jobs(100, failed=8), jobs(1000), LIMITS)
    assert worse(verdict) == {"failures"}


def test_requests_refused_by_the_candidate_only_fail_it() -> None:
    verdict = judge(jobs(50, failed=13, error="invalid_request"), jobs(300), LIMITS)
    assert worse(verdict) == {"refused"}
    assert "13 of 50 requests were refused as invalid, more than on stable" in verdict.sentence


def test_requests_refused_on_both_sides_are_the_clients_fault() -> None:
    both = [jobs(count, failed=count // 4, error="invalid_request") for count in (40, 300)]
    assert judge(*both, LIMITS).outcome == "pass"


def test_a_limit_on_refused_requests_holds_for_a_first_release_too() -> None:
    limits = dataclasses.replace(LIMITS, max_refused_share=0.3)
    refusing = jobs(50, failed=30, error="invalid_request")
    assert judge(refusing, [], LIMITS).outcome == "pass"
    assert worse(judge(refusing, [], limits)) == {"refused limit"}


@pytest.mark.parametrize(("error", "name"), [("invalid_output", "invalid output"), ("out_of_memory", "out of memory")])
def test_a_kind_of_failure_that_stable_does_not_have_is_found_among_those_it_has(error: str, name: str) -> None:
    usual = jobs(1000, failed=120)
    candidate = [*jobs(80, failed=10), *(dataclasses.replace(job, at=90.0) for job in jobs(20, failed=10, error=error))]
    verdict = judge(candidate, usual, dataclasses.replace(LIMITS, false_alarms=0.01))
    assert name in worse(verdict)


def test_too_few_jobs_are_no_verdict() -> None:
    verdict = judge(jobs(4), jobs(40), LIMITS)
    assert verdict.outcome == "inconclusive"
    assert "4 of the 5 finished jobs needed" in verdict.sentence


def test_only_jobs_of_this_step_count_towards_the_minimum() -> None:
    assert judge(jobs(50), jobs(40), LIMITS, Stage(step=2, since=49.0)).outcome == "inconclusive"


def test_a_slower_candidate_fails() -> None:
    verdict = judge(jobs(20, draw_ms=2000), jobs(40), LIMITS)
    assert worse(verdict) == {"latency"}
    assert verdict.latency_ratio == pytest.approx(2.0, rel=1e-3)
    assert "drawing takes 2.00 times as long as on stable, more than 1.5 (at least 1." in verdict.sentence


def test_a_slowdown_within_the_limit_passes_however_sure_it_is() -> None:
    assert judge(jobs(500, draw_ms=1400), jobs(2000), dataclasses.replace(LIMITS, instance_spread=0)).outcome == "pass"


def test_more_work_is_not_slower() -> None:
    double = [dataclasses.replace(job, draw_ms=2000.0, steps=40) for job in jobs(10)]
    assert judge(double, jobs(40), LIMITS).latency_ratio == pytest.approx(1.0, abs=1e-3)


def test_the_first_jobs_of_an_instance_do_not_count_for_latency() -> None:
    cold = [Job("succeeded", None, 9000.0, 20, PIXELS, sequence=index) for index in (1, 2)]
    assert judge(cold + jobs(8), jobs(40), LIMITS).latency_ratio == pytest.approx(1.0, abs=1e-3)


def test_a_limit_on_the_pace_holds_for_a_first_release() -> None:
    # 1,000 ms for 20 steps of a quarter of a megapixel are 191 ms per megapixel-step.
    assert judge(jobs(20), [], dataclasses.replace(LIMITS, max_pace_ms=200)).outcome == "pass"
    verdict = judge(jobs(20), [], dataclasses.replace(LIMITS, max_pace_ms=150))
    assert worse(verdict) == {"pace limit"}
    assert "20 of 20 jobs took more than 150 ms per megapixel-step" in verdict.sentence


def test_a_first_release_is_judged_by_absolute_limits_alone() -> None:
    assert judge(jobs(5), [], LIMITS).sentence.startswith("within the absolute limits")
    verdict = judge(jobs(4, failed=4), [], LIMITS)
    assert verdict.outcome == "fail"
    assert "4 of 4 jobs failed, more than 10%" in verdict.sentence


def test_what_fails_everywhere_is_not_held_against_the_candidate() -> None:
    assert judge(jobs(20, failed=8), jobs(200, failed=90), LIMITS).outcome == "pass"


def test_a_first_release_that_refuses_everything_does_not_pass() -> None:
    assert judge(jobs(12, failed=12, error="invalid_request"), [], LIMITS).outcome == "inconclusive"


def test_a_refused_smoke_request_is_a_failure_because_it_is_known_to_be_good() -> None:
    smoke = [dataclasses.replace(job, smoke=True) for job in jobs(4, failed=4, error="invalid_request")]
    assert judge(smoke, jobs(40), LIMITS).outcome == "fail"


# ---------------------------------------------------------------- when it is looked at


def test_the_answer_depends_on_the_look_and_not_on_when_it_is_asked_for() -> None:
    candidate, stable = jobs(90, failed=3), jobs(400, failed=4)
    stage = Stage(closing=False)
    at_once = judge(candidate[:50], [job for job in stable if job.at <= 49], LIMITS, stage)
    later = judge(candidate, stable, LIMITS, stage)
    assert at_once.findings == later.findings
    assert {finding.jobs for finding in later.findings} == {50}


def test_the_end_of_a_step_takes_in_the_jobs_after_the_last_look() -> None:
    late = [*jobs(50), *(dataclasses.replace(job, at=60.0) for job in jobs(40, failed=40))]
    assert judge(late, jobs(400), LIMITS, Stage(closing=False)).outcome == "pass"
    assert judge(late, jobs(400), LIMITS).outcome == "fail"


def test_a_fault_that_begins_at_a_later_step_is_found_among_the_jobs_of_that_step() -> None:
    good = jobs(2000)
    bad = [dataclasses.replace(job, at=job.at + 2000) for job in jobs(20, failed=12)]
    stage = Stage(step=3, since=2000.0, closing=False)
    verdict = judge(good + bad, jobs(4000), LIMITS, stage)
    assert {finding.scope for finding in verdict.findings if finding.worse} == {"step"}
    slow = [dataclasses.replace(job, at=job.at + 2000) for job in jobs(20, draw_ms=2500)]
    assert worse(judge(good + slow, jobs(4000), LIMITS, stage)) == {"latency"}


def test_the_last_step_is_compared_with_what_stable_did_before() -> None:
    stable = jobs(300)
    last = [dataclasses.replace(job, at=job.at + 1000) for job in jobs(50, draw_ms=2500)]
    stage = Stage(step=5, since=1000.0, opened=0.0)
    assert worse(judge(last, stable, LIMITS, stage)) == {"latency"}


def test_stables_jobs_from_before_the_release_count_only_where_later_ones_are_few() -> None:
    before = jobs(300, failed=150)
    stage = Stage(opened=300.0, since=300.0)
    during = [dataclasses.replace(job, at=job.at + 300) for job in jobs(100)]
    candidate = [dataclasses.replace(job, at=job.at + 350) for job in jobs(20, failed=9)]
    assert judge(candidate, before + during, LIMITS, stage).outcome == "fail"
    assert judge(candidate, before + during[:3], LIMITS, stage).outcome == "pass"


# ---------------------------------------------------------------- restarts


def line(instance: str, sequence: int, at: float, **fields: object) -> tuple[float, dict[str, object]]:
    """A job's line."""
    job = {"event": "job", "instance_id": instance, "sequence": sequence, "outcome": "succeeded"}
    return at, {**job, "draw_ms": 900.0, "steps": 20, "pixels": PIXELS, **fields}


def warming(instance: str, at: float) -> tuple[float, dict[str, object]]:
    """The line of a worker that begins."""
    return at, {"event": "state", "state": "warming", "instance_id": instance}


def test_a_worker_that_begins_again_has_restarted_and_its_boot_is_none() -> None:
    rows = parse_lines([warming("i-1", 1), line("i-1", 1, 2), warming("i-1", 3), line("i-1", 1, 4), warming("i-2", 5)])
    assert [(row.instance, row.at) for row in rows if row.restart] == [("i-1", 3)]


def test_a_restart_whose_line_was_lost_shows_in_the_numbers_of_the_jobs() -> None:
    rows = parse_lines([line("i-1", 7, 2), line("i-1", 8, 3), line("i-1", 1, 4), line("i-1", 2, 5)])
    assert [row.at for row in rows if row.restart] == [4]
    assert sum(not row.restart for row in rows) == 4


def test_a_candidate_whose_worker_dies_before_any_job_is_finished_fails() -> None:
    rows = parse_lines([warming("i-1", 100.0 + at) for at in range(5)])
    assert worse(judge(rows, jobs(100), Limits())) == {"restarts", "failure limit"}
    assert worse(judge(rows, [], Limits())) == {"failure limit"}


def test_lines_that_are_damaged_or_of_another_kind_are_passed_over() -> None:
    odd = [(1.0, "not json"), (2.0, "[]"), (3.0, '{"event": "job"}'), (4.0, {"event": "state", "state": "ready"})]
    assert parse_lines(odd) == []


# ---------------------------------------------------------------- properties

SIDES = st.tuples(st.integers(0, 120), st.floats(0, 1), st.floats(0.5, 3))


def side(numbers: tuple[int, float, float], seed: int) -> list[Job]:
    """Jobs of three instances, some failed."""
    count, share, pace = numbers
    source = random.Random(seed)
    rows = []
    for index in range(count):
        bad = source.random() < share
        kind, error = ("failed", "transient") if bad else ("succeeded", None)
        draw_ms = 1000 * pace * source.lognormvariate(0, 0.3)
        rows.append(Job(kind, error, draw_ms, 20, PIXELS, 3 + index // 3, instance=f"i-{index % 3}", at=float(index)))
    return rows


@given(SIDES, SIDES, st.integers(0, 99))
def test_the_verdict_is_whole_whatever_the_jobs(
    ours: tuple[int, float, float], theirs: tuple[int, float, float], seed: int
) -> None:
    verdict = judge(side(ours, seed), side(theirs, seed + 1), Limits())
    assert verdict.outcome == ("fail" if worse(verdict) else verdict.outcome)
    assert verdict.outcome != "pass" or verdict.candidate.jobs - verdict.candidate.failed >= 20
    assert all(finding.p_value is None or 0 <= finding.p_value <= 1 for finding in verdict.findings)
    assert verdict.as_dict()["verdict"] == verdict.outcome
    assert verdict == judge(side(ours, seed), side(theirs, seed + 1), Limits())


@given(SIDES, st.integers(0, 99))
def test_one_more_failure_never_helps(ours: tuple[int, float, float], seed: int) -> None:
    stable, candidate = side((200, 0.02, 1.0), seed), side(ours, seed + 1)
    good = next((index for index, job in enumerate(candidate) if job.outcome == "succeeded"), None)
    if good is None or judge(candidate, stable, Limits()).outcome != "fail":
        return
    if "latency" in worse(judge(candidate, stable, Limits())):
        return
    failed = dataclasses.replace(candidate[good], outcome="failed", error_type="transient")
    assert judge([*candidate[:good], failed, *candidate[good + 1 :]], stable, Limits()).outcome == "fail"


def test_a_limit_of_nothing_holds_beside_a_stable_that_loses_nothing() -> None:
    strict = dataclasses.replace(LIMITS, max_failure_share=0.0)
    assert worse(judge(jobs(60, failed=2), jobs(300), strict)) == {"failure limit"}
    assert judge(jobs(60, failed=2), jobs(300, failed=10), strict).outcome == "pass"


def test_a_step_that_ends_with_few_jobs_is_looked_at_all_the_same() -> None:
    few, stable = jobs(3, failed=3), jobs(90)
    assert judge(few, stable, LIMITS).outcome == "inconclusive"
    verdict = judge(few, stable, LIMITS, Stage(ending=True))
    assert (verdict.outcome, worse(verdict)) == ("fail", {"failures"})
    assert judge(jobs(3), stable, LIMITS, Stage(ending=True)).outcome == "inconclusive"
