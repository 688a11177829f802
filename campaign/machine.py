# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m campaign.machine``: a fleet under everything at once, for so many steps; the invariants after each."""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time
import typing as t

import hypothesis
from hypothesis.stateful import run_state_machine_as_test

from campaign.crash.forks import Nursery
from campaign.findings import outcome
from tests.support.machine import STEPS, FleetMachine

STEPS_OF_ONE = 25


def main() -> int:
    """Run machines in as many processes as asked for, and print what they did."""
    parser = argparse.ArgumentParser(prog="campaign.machine", description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started, nursery = time.monotonic(), Nursery(options.jobs)
    share = -(-options.steps // options.jobs)
    for number in range(options.jobs):
        if nursery.fork():
            nursery.report(_steps(options.seed * 1000 + number, share))
    return _tell(nursery.reports(), time.monotonic() - started)


def _steps(seed: int, steps: int) -> dict[str, t.Any]:
    """So many steps of machines drawn from that seed on; stops at the first violation."""
    started, failure = time.process_time(), ""
    while STEPS.total() < steps and not failure:
        count = -(-(steps - STEPS.total()) // STEPS_OF_ONE)
        _unused, error = outcome(functools.partial(_machines, seed, count))
        failure = error and f"seed {seed}, process {os.getpid()}\n{error}"
        seed += 100000
    return {"steps": dict(STEPS), "failure": failure, "seconds": time.process_time() - started}


def _machines(seed: int, count: int) -> None:
    """So many machines; what they do follows from the seed."""
    settings = hypothesis.settings(
        max_examples=max(count, 2),
        stateful_step_count=STEPS_OF_ONE,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    run_state_machine_as_test(hypothesis.seed(seed)(FleetMachine), settings=settings)


def _tell(reports: t.Sequence[t.Mapping[str, t.Any]], seconds: float) -> int:
    totals: dict[str, int] = {}
    for report in reports:
        for name, count in report["steps"].items():
            totals[name] = totals.get(name, 0) + count
    for name, count in sorted(totals.items()):
        print(f"{name:<28} {count:>6}")
    failures = [report["failure"] for report in reports if report["failure"]]
    print(*failures, sep="\n")
    cpu = sum(report["seconds"] for report in reports)
    print(f"{sum(totals.values())} steps, {len(failures)} violations, {seconds:.0f} s ({cpu:.0f} s of CPU)")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
