# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The verdict on a candidate, from finished jobs. Pure; no AWS.

Failure shares are compared by Fisher's exact test, one-sided (R. A. Fisher, Statistical Methods for Research
Workers, 1934, section 21.02), which holds for the small counts of a first step. Latency is compared by the
ratio of medians of draw time per unit of work (steps × pixels).
"""

from __future__ import annotations

import dataclasses
import math
import statistics
import typing as t

WARM_UP_JOBS = 2
"""The first jobs of an instance are slower (allocators, kernel selection): left out of the latency comparison."""
USER_ERRORS = frozenset({"invalid_request", "id_conflict"})
"""Faults of the request. A share that rises with the release is still held against the release."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """When a candidate is worse."""

    min_jobs: int = 20
    """Finished jobs of the candidate, smoke included, before a pass."""
    max_failure_share: float = 0.1
    """Failed share of the candidate's jobs that is too much by itself, where stable is not just as bad."""
    min_failures: int = 2
    """A single failure never fails a release."""
    significance: float = 0.01
    """Probability of so many more failures than stable's by chance, below which the candidate is worse."""
    max_latency_ratio: float = 1.5
    """Candidate's median draw time per unit of work over stable's."""
    min_latency_jobs: int = 5
    """Warm jobs on each side before latencies are compared."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One finished attempt at a job."""

    outcome: str
    error_type: str | None
    draw_ms: float
    steps: int
    pixels: int
    sequence: int
    smoke: bool = False

    @property
    def failed(self) -> bool:
        """Whether the release, not the request, is to blame; a smoke request is known to be good."""
        bad = self.outcome in ("failed", "handed_back")
        return bad and (self.smoke or self.error_type not in USER_ERRORS)

    @property
    def refused(self) -> bool:
        """Whether the request was found invalid."""
        return self.error_type in USER_ERRORS and not self.smoke

    @property
    def pace(self) -> float | None:
        """Draw time per unit of work in milliseconds per megapixel-step; None for a cold or failed job."""
        work = self.steps * self.pixels
        if self.outcome != "succeeded" or self.sequence <= WARM_UP_JOBS or not work:
            return None
        return self.draw_ms / work * 1e6


@dataclasses.dataclass(frozen=True)
class Summary:
    """The numbers of one side."""

    jobs: int
    failed: int
    refused: int
    median_pace: float | None
    """Milliseconds per megapixel-step."""
    paced: int


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The outcome, the sentence and the numbers behind both."""

    outcome: t.Literal["pass", "fail", "inconclusive"]
    sentence: str
    candidate: Summary
    stable: Summary
    failure_p_value: float
    refused_p_value: float
    latency_ratio: float | None

    def as_dict(self) -> dict[str, t.Any]:
        """For results and the history."""
        return {**dataclasses.asdict(self), "verdict": self.outcome}


def summarize(jobs: t.Sequence[Job]) -> Summary:
    """Count one side."""
    paces = [pace for pace in (job.pace for job in jobs) if pace is not None]
    return Summary(
        jobs=len(jobs),
        failed=sum(job.failed for job in jobs),
        refused=sum(job.refused for job in jobs),
        median_pace=statistics.median(paces) if paces else None,
        paced=len(paces),
    )


def fisher_greater(bad: int, total: int, other_bad: int, other_total: int) -> float:
    """Probability, if both sides were alike, of ``bad`` or more among ``total`` (hypergeometric tail)."""
    everything, all_bad = total + other_total, bad + other_bad
    if not total or not other_total or not all_bad:
        return 1.0
    all_good, first = everything - all_bad, max(bad, total - (everything - all_bad))
    term = math.exp(_log_ways(all_bad, first) + _log_ways(all_good, total - first) - _log_ways(everything, total))
    tail = term
    for k in range(first, min(all_bad, total)):  # each term from the one before: linear, and no huge numbers
        term *= (all_bad - k) * (total - k) / ((k + 1) * (all_good - total + k + 1))
        tail += term
    return min(1.0, tail)


def _log_ways(of: int, chosen: int) -> float:
    """Logarithm of the number of ways to choose."""
    return math.lgamma(of + 1) - math.lgamma(chosen + 1) - math.lgamma(of - chosen + 1)


def binomial_at_least(bad: int, total: int, share: float) -> float:
    """Probability of ``bad`` or more failures among ``total`` jobs that each fail with probability ``share``."""
    if bad <= 0 or not 0 < share < 1:
        return 1.0 if bad <= 0 or share >= 1 else 0.0
    log, complement = math.log(share), math.log1p(-share)
    terms = (math.exp(_log_ways(total, k) + k * log + (total - k) * complement) for k in range(bad, total + 1))
    return min(1.0, sum(terms))


@dataclasses.dataclass(frozen=True)
class _Evidence:
    """Both sides and what the tests say of them."""

    ours: Summary
    theirs: Summary
    failure_p: float
    refused_p: float
    ratio: float | None
    fresh: int


def judge(candidate: t.Sequence[Job], stable: t.Sequence[Job], limits: Limits, *, fresh: int | None = None) -> Verdict:
    """Judge the candidate's jobs against stable's (empty for a first release: absolute limits only).

    ``fresh`` is how many of the candidate's jobs succeeded at this step; they alone count towards ``min_jobs``.
    """
    ours, theirs = summarize(candidate), summarize(stable)
    evidence = _Evidence(
        ours,
        theirs,
        failure_p=fisher_greater(ours.failed, ours.jobs, theirs.failed, theirs.jobs),
        refused_p=fisher_greater(ours.refused, ours.jobs, theirs.refused, theirs.jobs),
        ratio=_latency_ratio(ours, theirs, limits),
        fresh=sum(job.outcome == "succeeded" for job in candidate) if fresh is None else fresh,
    )
    outcome, sentence = _decide(evidence, limits)
    numbers = _numbers(ours, theirs, evidence.ratio)
    return Verdict(
        outcome, f"{sentence} ({numbers})", ours, theirs, evidence.failure_p, evidence.refused_p, evidence.ratio
    )


def _decide(seen: _Evidence, limits: Limits) -> tuple[t.Literal["pass", "fail", "inconclusive"], str]:
    worse = _worse(seen, limits)
    if worse is not None:
        return "fail", worse
    if seen.fresh < limits.min_jobs:
        return "inconclusive", f"{seen.fresh} of the {limits.min_jobs} finished jobs needed"
    return "pass", "not worse than stable" if seen.theirs.jobs else "within the absolute limits"


def _worse(seen: _Evidence, limits: Limits) -> str | None:
    ours, ratio = seen.ours, seen.ratio
    if ours.failed >= limits.min_failures and _too_many(seen, limits):
        return f"{ours.failed} of {ours.jobs} jobs failed, more than {limits.max_failure_share:.0%}"
    if ours.failed >= limits.min_failures and seen.failure_p < limits.significance:
        return f"{ours.failed} of {ours.jobs} jobs failed, more than on stable (p = {seen.failure_p:.2g})"
    if ours.refused >= limits.min_failures and seen.refused_p < limits.significance:
        return f"more requests are refused as invalid than on stable (p = {seen.refused_p:.2g})"
    if ratio is not None and ratio > limits.max_latency_ratio:
        return f"drawing takes {ratio:.2f} times as long as on stable, more than {limits.max_latency_ratio:g}"
    return None


def _too_many(seen: _Evidence, limits: Limits) -> bool:
    """Whether the true share lies above the absolute limit, and stable does not suffer from the same."""
    ours, theirs = seen.ours, seen.theirs
    by_chance = binomial_at_least(ours.failed, ours.jobs, limits.max_failure_share)
    return by_chance < limits.significance and ours.failed * theirs.jobs >= theirs.failed * ours.jobs


def _latency_ratio(ours: Summary, theirs: Summary, limits: Limits) -> float | None:
    if min(ours.paced, theirs.paced) < limits.min_latency_jobs or not ours.median_pace or not theirs.median_pace:
        return None
    return ours.median_pace / theirs.median_pace


def _numbers(ours: Summary, theirs: Summary, ratio: float | None) -> str:
    latency = "latency not compared" if ratio is None else f"latency ratio {ratio:.2f}"
    return f"candidate {ours.failed}/{ours.jobs} failed, stable {theirs.failed}/{theirs.jobs} failed, {latency}"
