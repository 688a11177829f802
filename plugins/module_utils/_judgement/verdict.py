# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The verdict on a candidate, from finished jobs. Pure; no AWS."""

from __future__ import annotations

import bisect
import dataclasses
import math
import operator
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._judgement import looks
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.comparisons import (
    PARTS,
    Finding,
    Limits,
    Sample,
    compare,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.jobs import Job, Summary, summarize

_at = operator.attrgetter("at")
Scope = t.Literal["release", "step", "both"]
Outcome = t.Literal["pass", "fail", "inconclusive"]
ENOUGH = 200
"""So many jobs of stable from the same time are enough, however many the candidate has finished."""
SKIPPED = {"latency": 1, "pace limit": 1}
"""Looks too small for a comparison: the first one has hardly a warm job."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """Where in the release a verdict is asked for; the default is all there is, for the last time."""

    step: int = 1
    since: float = -math.inf
    """When the step was reached, in seconds since 1970."""
    opened: float = -math.inf
    """When the release began: stable's earlier jobs only count where later ones are too few."""
    closing: bool = True
    """Whether a pass would end the step: then everything is looked at once more."""
    ending: bool = False
    """Whether the step ends now, with however few jobs: then a pass is no condition of that last look."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The outcome, the sentence and the numbers behind both."""

    outcome: Outcome
    sentence: str
    candidate: Summary
    stable: Summary
    findings: tuple[Finding, ...] = ()
    latency_ratio: float | None = None
    """At the latest look."""
    pictures: t.Mapping[str, t.Any] | None = None
    """How far the candidate's smoke pictures are from stable's, where they were compared."""

    def as_dict(self) -> dict[str, t.Any]:
        """For results and the history."""
        return {**dataclasses.asdict(self), "verdict": self.outcome}


def judge(candidate: t.Sequence[Job], stable: t.Sequence[Job], limits: Limits, stage: Stage | None = None) -> Verdict:
    """Judge the candidate's jobs against stable's (empty for a first release: absolute limits only).

    Only jobs that succeeded since the step was reached count towards ``min_jobs``.
    """
    stage = stage or Stage()
    ours, theirs = (sorted(rows, key=_at) for rows in (candidate, stable))
    findings = _look(ours, theirs, limits, stage, closing=False)
    fresh = sum(row.outcome == "succeeded" for row in _since(ours, stage.since))
    if (stage.ending or (stage.closing and fresh >= limits.min_jobs)) and not _reason(findings):
        findings += _look(ours, theirs, limits, stage, closing=True)
    outcome, sentence = _decide(_reason(findings), fresh, limits, bool(theirs))
    mine, other = summarize(ours), summarize(_control(ours, theirs, limits, (stage.opened,), math.inf))
    ratio = next((row.ratio for row in reversed(findings) if row.ratio is not None), None)
    return Verdict(outcome, f"{sentence} ({_numbers(mine, other, ratio)})", mine, other, tuple(findings), ratio)


def _decide(reason: str | None, fresh: int, limits: Limits, compared: bool) -> tuple[Outcome, str]:
    if reason is not None:
        return "fail", reason
    if fresh < limits.min_jobs:
        return "inconclusive", f"{fresh} of the {limits.min_jobs} finished jobs needed"
    return "pass", "not worse than stable" if compared else "within the absolute limits"


def _reason(findings: t.Sequence[Finding]) -> str | None:
    return next((finding.sentence for finding in findings if finding.worse), None)


def _look(
    ours: t.Sequence[Job], theirs: t.Sequence[Job], limits: Limits, stage: Stage, *, closing: bool
) -> list[Finding]:
    """Compare at the latest look of the release and of the step, or at everything."""
    own = _since(ours, stage.since)
    scopes: list[tuple[Scope, t.Sequence[Job]]] = (
        [("both", ours)] if stage.step == 1 or len(own) == len(ours) else [("release", ours), ("step", own)]
    )
    findings = []
    for scope, rows in scopes:
        look = looks.Look(len(rows), 0) if closing else looks.newest(len(rows))
        if look is not None and look.size:
            findings += _compare(rows[: look.size], theirs, limits, stage, scope, look)
    return findings


def _compare(
    rows: t.Sequence[Job], theirs: t.Sequence[Job], limits: Limits, stage: Stage, scope: Scope, look: looks.Look
) -> list[Finding]:
    until = rows[-1].at if look.number else math.inf
    times = (stage.since, stage.opened) if scope == "step" else (stage.opened,)
    levels = {
        name: limits.false_alarms * part * looks.level(look, stage.step, scope, SKIPPED.get(name, 0))
        for name, part in PARTS.items()
    }
    control = _control(rows, theirs, limits, times, until)
    return compare(Sample(rows, control, "step" if scope == "step" else "release", levels, limits))


def _control(
    rows: t.Sequence[Job], theirs: t.Sequence[Job], limits: Limits, times: t.Sequence[float], until: float
) -> t.Sequence[Job]:
    """Stable's jobs up to then: of the same time where they are enough, so that both sides met the same load."""
    enough = max(limits.min_jobs, min(len(rows), ENOUGH))
    past = theirs[: bisect.bisect_right(theirs, until, key=_at)]
    for since in times:
        together = _since(past, since)
        if len(together) >= enough:
            return together
    return past


def _since(rows: t.Sequence[Job], since: float) -> t.Sequence[Job]:
    """The rows from then on, of rows in order of time."""
    return rows[bisect.bisect_left(rows, since, key=_at) :]


def _numbers(ours: Summary, theirs: Summary, ratio: float | None) -> str:
    latency = "latency not compared" if ratio is None else f"latency ratio {ratio:.2f}"
    return f"candidate {ours.failed}/{ours.jobs} failed, stable {theirs.failed}/{theirs.jobs} failed, {latency}"
