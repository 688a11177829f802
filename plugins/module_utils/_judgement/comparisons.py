# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What a look finds: one comparison after the other of the candidate with stable, or with a limit. Pure."""

from __future__ import annotations

import collections
import dataclasses
import math
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.jobs import Job
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.paces import Paces, slowdown
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.shares import (
    binomial_at_least,
    fisher_greater,
)

PARTS = {
    "failures": 0.22,
    "failure limit": 0.10,
    "latency": 0.45,
    "pace limit": 0.05,
    "refused": 0.06,
    "refused limit": 0.03,
    "invalid output": 0.03,
    "out of memory": 0.03,
    "restarts": 0.03,
}
"""Part of the false-alarm limit that each comparison may use; they add up to 1. Latency needs the most: its instances
vary, where most other shares are near zero as long as all is well."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """When a candidate is worse."""

    min_jobs: int = 20
    """Jobs of the candidate that must succeed at a step before a pass."""
    max_failure_share: float = 0.1
    """Failed share of the candidate's jobs that is too much by itself, where stable is not just as bad."""
    max_refused_share: float = 1.0
    """Share of requests found invalid that is too much by itself; 1 for no limit."""
    min_failures: int = 2
    """A single failure never fails a release."""
    max_latency_ratio: float = 1.5
    """Candidate's draw time per unit of work over stable's."""
    max_pace_ms: float = 0.0
    """Candidate's median draw time in milliseconds per megapixel-step; 0 for no limit."""
    min_latency_jobs: int = 5
    """Warm jobs on each side before latencies are compared."""
    instance_spread: float = 0.1
    """What instances of one release differ by in speed, as a share: the least that is allowed for."""
    false_alarms: float = 0.02
    """Probability that a release no worse than stable is rolled back, over all its looks, steps and comparisons."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one comparison found at one look."""

    comparison: str
    scope: str
    """Whether all jobs of the release were compared, or the step's own."""
    jobs: int
    """Jobs of the candidate that were looked at."""
    level: float
    """Part of the false-alarm limit that this look may use."""
    worse: bool
    sentence: str
    p_value: float | None = None
    ratio: float | None = None
    at_least: float | None = None
    """Lower limit of the ratio at the level."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """Both sides at one look."""

    ours: t.Sequence[Job]
    theirs: t.Sequence[Job]
    scope: str
    levels: t.Mapping[str, float]
    limits: Limits


def compare(sample: Sample) -> list[Finding]:
    """All comparisons that have a part of the limit at this look."""
    found = [method(sample) for name, method in COMPARISONS.items() if sample.levels.get(name, 0) > 0]
    return [finding for finding in found if finding is not None]


Chosen = t.Callable[[Job], bool]


def _jobs(rows: t.Sequence[Job]) -> list[Job]:
    return [row for row in rows if not row.restart]


def _against_stable(name: str, chosen: Chosen, wording: str, *, rows: bool = False) -> t.Callable[[Sample], Finding]:
    """A share compared with stable's by Fisher's exact test; ``rows`` counts restarts among the whole."""
    of = list if rows else _jobs

    def finding(sample: Sample) -> Finding:
        ours, theirs, level = of(sample.ours), of(sample.theirs), sample.levels[name]
        bad, other = sum(map(chosen, ours)), sum(map(chosen, theirs))
        p = fisher_greater(bad, len(ours), other, len(theirs))
        worse = bad >= sample.limits.min_failures and p < level
        sentence = f"{wording.format(bad=bad, jobs=len(ours))}, more than on stable (p = {p:.2g})"
        return Finding(name, sample.scope, len(sample.ours), level, worse, sentence, p_value=p)

    return finding


def _bad(row: Job) -> bool:
    """For the absolute limit a restart is a lost attempt like any other."""
    return row.failed or row.restart


def _failure_limit(sample: Sample) -> Finding:
    """Whether the true share lies above the limit; what stable suffers from just as much is only compared with it."""
    limit, level, name = sample.limits.max_failure_share, sample.levels["failure limit"], "failure limit"
    rows, bad = sample.ours, sum(map(_bad, sample.ours))
    p = binomial_at_least(bad, len(rows), limit)
    allowed = sum(map(_bad, sample.theirs)) < limit * len(sample.theirs) if sample.theirs else True
    worse = bad >= sample.limits.min_failures and p < level and allowed
    sentence = f"{bad} of {len(rows)} jobs failed, more than {limit:.0%} (p = {p:.2g})"
    return Finding(name, sample.scope, len(rows), level, worse, sentence, p_value=p)


def _refused_limit(sample: Sample) -> Finding | None:
    limit, level, jobs = sample.limits.max_refused_share, sample.levels["refused limit"], _jobs(sample.ours)
    if limit >= 1:
        return None
    bad = sum(job.refused for job in jobs)
    p = binomial_at_least(bad, len(jobs), limit)
    sentence = f"{bad} of {len(jobs)} requests were refused as invalid, more than {limit:.0%} (p = {p:.2g})"
    worse = bad >= sample.limits.min_failures and p < level
    return Finding("refused limit", sample.scope, len(sample.ours), level, worse, sentence, p_value=p)


def _pace_limit(sample: Sample) -> Finding | None:
    """Sign test of the median against the limit."""
    limit, level = sample.limits.max_pace_ms, sample.levels["pace limit"]
    paces = [pace for pace in (job.pace for job in sample.ours) if pace is not None]
    if limit <= 0 or len(paces) < sample.limits.min_latency_jobs:
        return None
    over = sum(pace > limit for pace in paces)
    p = binomial_at_least(over, len(paces), 0.5)
    sentence = f"{over} of {len(paces)} jobs took more than {limit:g} ms per megapixel-step (p = {p:.2g})"
    return Finding("pace limit", sample.scope, len(sample.ours), level, p < level, sentence, p_value=p)


def _latency(sample: Sample) -> Finding | None:
    """Slower beyond doubt, and by more than the limit."""
    ours, theirs, limits = _paces(sample.ours), _paces(sample.theirs), sample.limits
    if min(_count(ours), _count(theirs)) < max(limits.min_latency_jobs, 1):
        return None
    level = sample.levels["latency"]
    slower = slowdown(ours, theirs, level, limits.instance_spread)
    worse = slower.ratio > limits.max_latency_ratio and slower.at_least > 1
    sentence = (
        f"drawing takes {slower.ratio:.2f} times as long as on stable, more than {limits.max_latency_ratio:g} "
        f"(at least {slower.at_least:.2f} times at level {level:.2g})"
    )
    return Finding(
        "latency",
        sample.scope,
        len(sample.ours),
        level,
        worse,
        sentence,
        ratio=slower.ratio,
        at_least=slower.at_least,
    )


def _paces(rows: t.Sequence[Job]) -> Paces:
    paces: dict[str, list[float]] = collections.defaultdict(list)
    for row in rows:
        if (pace := row.pace) is not None:
            paces[row.instance].append(math.log(pace))
    return paces


def _count(paces: Paces) -> int:
    return sum(map(len, paces.values()))


COMPARISONS: t.Mapping[str, t.Callable[[Sample], Finding | None]] = {
    "failures": _against_stable("failures", lambda row: row.failed, "{bad} of {jobs} jobs failed"),
    "failure limit": _failure_limit,
    "restarts": _against_stable("restarts", lambda row: row.restart, "the worker restarted {bad} times", rows=True),
    "out of memory": _against_stable(
        "out of memory", lambda row: row.error_type == "out_of_memory", "{bad} of {jobs} jobs ran out of memory"
    ),
    "invalid output": _against_stable(
        "invalid output", lambda row: row.error_type == "invalid_output", "{bad} of {jobs} pictures were broken"
    ),
    "refused": _against_stable("refused", lambda row: row.refused, "{bad} of {jobs} requests were refused as invalid"),
    "refused limit": _refused_limit,
    "latency": _latency,
    "pace limit": _pace_limit,
}
"""In the order in which they are named: the first that is worse is the reason."""
