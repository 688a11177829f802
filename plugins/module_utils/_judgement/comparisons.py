# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What a look finds: one comparison after the other of the candidate with stable, or with a limit. Pure."""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._judgement import paces
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.jobs import Job, Summary, summarize
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
    """Lower limit of the ratio at the level; only where the ratio is more than its limit."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """Both sides at one look."""

    ours: t.Sequence[Job]
    theirs: t.Sequence[Job]
    scope: str
    levels: t.Mapping[str, float]
    limits: Limits

    @functools.cached_property
    def mine(self) -> Summary:
        """The candidate's numbers."""
        return summarize(self.ours)

    @functools.cached_property
    def other(self) -> Summary:
        """Stable's numbers."""
        return summarize(self.theirs)

    def finding(self, name: str, worse: bool, sentence: str, **numbers: float) -> Finding:
        """What a comparison found at this look."""
        return Finding(name, self.scope, len(self.ours), self.levels[name], worse, sentence, **numbers)


def compare(sample: Sample) -> list[Finding]:
    """All comparisons that have a part of the limit at this look."""
    found = [method(sample) for name, method in COMPARISONS.items() if sample.levels.get(name, 0) > 0]
    return [finding for finding in found if finding is not None]


Share = t.Callable[[Summary], tuple[int, int]]
"""How many are bad, and of how many."""


def _against_stable(name: str, share: Share, wording: str) -> t.Callable[[Sample], Finding]:
    """A share compared with stable's by Fisher's exact test."""

    def finding(sample: Sample) -> Finding:
        (bad, total), other = share(sample.mine), share(sample.other)
        p = fisher_greater(bad, total, *other)
        worse = bad >= sample.limits.min_failures and p < sample.levels[name]
        sentence = f"{wording.format(bad=bad, jobs=total)}, more than on stable (p = {p:.2g})"
        return sample.finding(name, worse, sentence, p_value=p)

    return finding


def _against_limit(
    name: str, share: Share, limit: t.Callable[[Limits], float], words: t.Callable[[Summary], str]
) -> t.Callable[[Sample], Finding | None]:
    """A share compared with a limit; what stable suffers from just as much is left to the comparison with stable."""

    def finding(sample: Sample) -> Finding | None:
        (bad, total), (other_bad, other_total), most = share(sample.mine), share(sample.other), limit(sample.limits)
        if most >= 1:
            return None
        p = binomial_at_least(bad, total, most)
        alone = not other_bad or other_bad < most * other_total
        worse = bad >= sample.limits.min_failures and p < sample.levels[name] and alone
        sentence = f"{words(sample.mine)}, more than {most:.0%} (p = {p:.2g})"
        return sample.finding(name, worse, sentence, p_value=p)

    return finding


def _pace_limit(sample: Sample) -> Finding | None:
    """Sign test of the median against the limit."""
    limit = sample.limits.max_pace_ms
    if limit <= 0 or sample.mine.paced < sample.limits.min_latency_jobs:
        return None
    over = sum(row.pace is not None and row.pace > limit for row in sample.ours)
    p = binomial_at_least(over, sample.mine.paced, 0.5)
    sentence = f"{over} of {sample.mine.paced} jobs took more than {limit:g} ms per megapixel-step (p = {p:.2g})"
    return sample.finding("pace limit", p < sample.levels["pace limit"], sentence, p_value=p)


def _latency(sample: Sample) -> Finding | None:
    """Slower beyond doubt, and by more than the limit."""
    limits = sample.limits
    if min(sample.mine.paced, sample.other.paced) < max(limits.min_latency_jobs, 1):
        return None
    ours, theirs, level = _paces(sample.ours), _paces(sample.theirs), sample.levels["latency"]
    ratio = math.exp(paces.slowdown(ours, theirs))
    if ratio <= limits.max_latency_ratio:
        return sample.finding("latency", False, f"drawing takes {ratio:.2f} times as long as on stable", ratio=ratio)
    spread = max(limits.instance_spread, paces.proven_spread(theirs))
    surely = math.exp(paces.at_least(ours, theirs, level, spread))
    sentence = (
        f"drawing takes {ratio:.2f} times as long as on stable, more than {limits.max_latency_ratio:g} "
        f"(at least {surely:.2f} times at level {level:.2g})"
    )
    return sample.finding("latency", surely > 1, sentence, ratio=ratio, at_least=surely)


def _paces(rows: t.Sequence[Job]) -> paces.Paces:
    by_instance: dict[str, list[float]] = collections.defaultdict(list)
    for row in rows:
        if row.pace is not None:
            by_instance[row.instance].append(math.log(row.pace))
    return by_instance


def _failed(side: Summary) -> tuple[int, int]:
    return side.failed, side.jobs


def _lost_words(side: Summary) -> str:
    if not side.restarts:
        return f"{side.failed} of {side.jobs} jobs failed"
    return f"{side.lost} of {side.attempts} attempts were lost, as the worker restarted {side.restarts} times"


def _refused(side: Summary) -> tuple[int, int]:
    return side.refused, side.jobs


COMPARISONS: t.Mapping[str, t.Callable[[Sample], Finding | None]] = {
    "failures": _against_stable("failures", _failed, "{bad} of {jobs} jobs failed"),
    "restarts": _against_stable(
        "restarts", lambda side: (side.restarts, side.attempts), "the worker restarted {bad} times"
    ),
    "out of memory": _against_stable(
        "out of memory", lambda side: (side.out_of_memory, side.jobs), "{bad} of {jobs} jobs ran out of memory"
    ),
    "invalid output": _against_stable(
        "invalid output", lambda side: (side.invalid_output, side.jobs), "{bad} of {jobs} pictures were broken"
    ),
    "refused": _against_stable("refused", _refused, "{bad} of {jobs} requests were refused as invalid"),
    "failure limit": _against_limit(
        "failure limit",
        lambda side: (side.lost, side.attempts),
        lambda limits: limits.max_failure_share,
        _lost_words,
    ),
    "refused limit": _against_limit(
        "refused limit",
        _refused,
        lambda limits: limits.max_refused_share,
        lambda side: f"{side.refused} of {side.jobs} requests were refused as invalid",
    ),
    "latency": _latency,
    "pace limit": _pace_limit,
}
"""In the order in which they are named: the first that is worse is the reason."""
