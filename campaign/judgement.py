# SPDX-License-Identifier: GPL-3.0-or-later
"""How often the judgement is wrong, and what it catches: simulated releases, put before ``judge`` as the engine does.

    python -m campaign.judgement               # the whole of it, printed as tables
    python -m campaign.judgement --releases 200

A release is a group of instances that goes over to the candidate one step after the other; every instance finishes
jobs all the time, and the engine looks every poll. Latencies are log-normal with σ 0.5 for the job and 0.1 for the
instance. Nothing is random but the seeds, which are counted from 0.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import random
import time
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._judgement import looks
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.comparisons import Limits
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.jobs import Job
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.verdict import Stage, Verdict, judge

JOB_SIGMA = 0.5
INSTANCE_SIGMA = 0.1
WORK = ((20, 512 * 512), (30, 512 * 512), (20, 768 * 768), (50, 512 * 768))
"""Steps and pixels that users ask for."""
WINDOW = 300.0
POLL = 10.0


@dataclasses.dataclass(frozen=True)
class Kind:
    """What is true of a release."""

    failing: float = 0.0
    """Share of jobs that fail for a reason of the worker's."""
    refused: float = 0.0
    broken: float = 0.0
    """Share of broken pictures."""
    slower: float = 1.0
    from_step: int = 1
    """The first step at which the above is so; before, the candidate is like stable."""


@dataclasses.dataclass(frozen=True)
class Fleet:
    """How the group is, and how it goes over."""

    instances: int = 5
    steps: int = 5
    jobs: int = 50
    """Jobs of the candidate in the first step."""
    stable_jobs: int = 200
    """Jobs of stable, at least, while the candidate finishes those."""

    def share(self, step: int) -> int:
        """Instances of the candidate at a step."""
        return math.ceil(self.instances * step / self.steps)


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a simulated release ended."""

    step: int
    """The step at which it was rolled back; 0 when it was promoted."""
    jobs: int
    """Jobs of the candidate until then."""
    verdict: Verdict


def release(
    seed: int,
    fleet: Fleet,
    stable: Kind,
    candidate: Kind,
    limits: Limits,
    *,
    steps: int = 0,
    every_poll: bool = False,
) -> Ended:
    """One release, to its end or to the end of ``steps``.

    A poll that reaches no new look gets the answer of the one before, and is left out unless ``every_poll``.
    """
    source = random.Random(seed)
    ours, theirs = _history(source, fleet, stable, candidate, steps or fleet.steps)
    verdict: Verdict | None = None
    for step in range(1, (steps or fleet.steps) + 1):
        since, asked = (step - 1) * WINDOW, (0, 0)
        for poll in range(1, round(WINDOW / POLL) + 1):
            now = since + poll * POLL
            seen = [job for job in ours if job.at < now]
            closing = poll == round(WINDOW / POLL)
            reached = _reached(seen, since)
            if reached == asked and not closing and not every_poll:
                continue
            asked = reached
            stage = Stage(step, since if step > 1 else -math.inf, -math.inf, closing)
            verdict = judge(seen, [job for job in theirs if job.at < now], limits, stage)
            if verdict.outcome == "fail":
                return Ended(step, len(seen), verdict)
    return Ended(0, len(ours), t.cast(Verdict, verdict))


def _reached(seen: t.Sequence[Job], since: float) -> tuple[int, int]:
    sizes = (len(seen), sum(job.at >= since for job in seen))
    return t.cast(tuple[int, int], tuple(look.size if (look := looks.newest(size)) else 0 for size in sizes))


def _history(
    source: random.Random, fleet: Fleet, stable: Kind, candidate: Kind, steps: int
) -> tuple[list[Job], list[Job]]:
    """All jobs that would be finished if nobody judged."""
    ours: list[Job] = []
    theirs: list[Job] = []
    old = [math.exp(source.gauss(0, INSTANCE_SIGMA)) for _unused in range(fleet.instances)]
    new = [math.exp(source.gauss(0, INSTANCE_SIGMA)) for _unused in range(fleet.instances)]
    done: dict[str, int] = {}
    for step in range(1, steps + 1):
        begin, serving = (step - 1) * WINDOW, fleet.share(step)
        kind = candidate if step >= candidate.from_step else stable
        ours += _jobs(source, done, "new", new[:serving], fleet.jobs * serving // fleet.share(1), begin, kind)
        rate = max(fleet.stable_jobs / (fleet.instances - fleet.share(1)), fleet.jobs / fleet.share(1))
        count = round(rate * (fleet.instances - serving))
        theirs += _jobs(source, done, "old", old[serving:], count, begin, stable, warm=True)
    return sorted(ours, key=lambda job: job.at), sorted(theirs, key=lambda job: job.at)


def _jobs(
    source: random.Random,
    done: dict[str, int],
    name: str,
    effects: t.Sequence[float],
    count: int,
    begin: float,
    kind: Kind,
    *,
    warm: bool = False,
) -> list[Job]:
    """Jobs of one side at one step, shared evenly by its instances."""
    rows = []
    for number in range(count):
        at = begin + WINDOW * (number + source.random()) / (count + 1)
        index = number % len(effects)
        instance = f"{name}-{len(effects) - index if warm else index}"
        done[instance] = done.get(instance, 10 if warm else 0) + 1
        rows.append(_job(source, kind, instance, effects[index], at, done[instance]))
    return rows


def _job(source: random.Random, kind: Kind, instance: str, effect: float, at: float, sequence: int) -> Job:
    steps, pixels = source.choice(WORK)
    pace = 190 * effect * kind.slower * math.exp(source.gauss(0, JOB_SIGMA))
    draw_ms, dice = pace * steps * pixels / 1e6, source.random()
    outcome, error = "succeeded", None
    for share, bad, why in (
        (kind.failing, "handed_back", "transient"),
        (kind.broken, "handed_back", "invalid_output"),
        (kind.refused, "failed", "invalid_request"),
    ):
        if 0 <= dice < share:
            outcome, error = bad, why
        dice -= share
    return Job(outcome, error, draw_ms, steps, pixels, sequence, instance=instance, at=at)


# ---------------------------------------------------------------- the tables


def count(releases: int, fleet: Fleet, stable: Kind, candidate: Kind, *, steps: int = 0) -> list[Ended]:
    """That many releases."""
    return [release(seed, fleet, stable, candidate, Limits(), steps=steps) for seed in range(releases)]


def promoted(ended: t.Sequence[Ended]) -> float:
    """Share that was promoted."""
    return sum(not one.step for one in ended) / len(ended)


def caught(ended: t.Sequence[Ended], step: int = 1) -> float:
    """Share that was rolled back at that step or before."""
    return sum(0 < one.step <= step for one in ended) / len(ended)


BASES = (0.0, 0.02)
FIRST_STEPS = (20, 50, 200)


def candidates(base: float) -> dict[str, Kind]:
    """What the table of catches is made of."""
    shares = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
    return {
        **{f"{share:.0%} of jobs fail": Kind(failing=share) for share in shares},
        **{f"{share:.0%} of pictures are broken": Kind(failing=base, broken=share) for share in (0.1, 0.3)},
        **{f"{share:.0%} of requests are refused": Kind(failing=base, refused=share) for share in (0.1, 0.3, 0.5)},
        **{f"{ratio:g} times as slow": Kind(failing=base, slower=ratio) for ratio in (1.25, 1.5, 2, 3)},
    }


def acceptance(releases: int) -> None:
    """Whole releases of five steps, and what must be caught at the first of them."""
    where = "5 instances, 5 steps; in the first 50 jobs of the candidate and 200 of stable"
    print(f"\n### {releases:,} releases each, {where}\n")
    print("| base failure rate | candidate | promoted | rolled back at the first step | median jobs until then |")
    print("|---|---|---|---|---|")
    for base in BASES:
        for name, kind, steps in (
            ("identical", Kind(failing=base), 0),
            ("30 % of jobs fail", Kind(failing=0.3), 1),
            ("2 times as slow", Kind(failing=base, slower=2.0), 1),
        ):
            ended = count(releases, Fleet(), Kind(failing=base), kind, steps=steps)
            whole = f"{promoted(ended):.2%}" if not steps else "–"
            jobs = sorted(one.jobs for one in ended if one.step == 1)
            middle = str(jobs[len(jobs) // 2]) if steps and jobs else "–"
            print(f"| {base:.0%} | {name} | {whole} | {caught(ended):.2%} | {middle} |", flush=True)


def catches(releases: int) -> None:
    """What is caught at the first step, by its number of jobs."""
    for base in BASES:
        print(f"\n### Rolled back at the first step, base failure rate {base:.0%}, {releases:,} releases each\n")
        print("| candidate | " + " | ".join(f"{jobs} jobs" for jobs in FIRST_STEPS) + " |")
        print("|---|" + "---|" * len(FIRST_STEPS))
        for name, kind in candidates(base).items():
            shares = [
                caught(count(releases, Fleet(jobs=jobs), Kind(failing=base), kind, steps=1)) for jobs in FIRST_STEPS
            ]
            print(f"| {name} | " + " | ".join(f"{share:.1%}" for share in shares) + " |", flush=True)


def late(releases: int) -> None:
    """Faults that begin at the third of five steps."""
    print(f"\n### Faults that begin at step 3 of 5, base failure rate 2 %, {releases:,} releases each\n")
    print("| candidate | rolled back before | at step 3 | at step 3 to 5 |\n|---|---|---|---|")
    kinds = {
        "10 % of jobs fail": Kind(failing=0.1, from_step=3),
        "30 % of jobs fail": Kind(failing=0.3, from_step=3),
        "1.5 times as slow": Kind(failing=0.02, slower=1.5, from_step=3),
        "2 times as slow": Kind(failing=0.02, slower=2.0, from_step=3),
    }
    for name, kind in kinds.items():
        ended = count(releases, Fleet(), Kind(failing=0.02), kind)
        before = caught(ended, 2)
        print(
            f"| {name} | {before:.1%} | {caught(ended, 3) - before:.1%} | {caught(ended, 5) - before:.1%} |", flush=True
        )


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--releases", type=int, default=2000, help="of each acceptance line (default 2000)")
    parser.add_argument("--table", type=int, default=200, help="of each cell of the tables (default 200)")
    parser.add_argument("--part", choices=("acceptance", "catches", "late"), action="append", help="all without it")
    given = parser.parse_args()
    began, parts = time.monotonic(), given.part or ["acceptance", "catches", "late"]
    if "acceptance" in parts:
        acceptance(given.releases)
    if "catches" in parts:
        catches(given.table)
    if "late" in parts:
        late(given.table)
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
