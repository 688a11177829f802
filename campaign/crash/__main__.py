# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m campaign.crash``: the table of calls tried and converged; status 1 below 100 %."""

from __future__ import annotations

import argparse
import functools
import random
import sys
import time
import typing as t

from campaign.crash.forks import elsewhere
from campaign.crash.points import Choice, Point, Variant
from campaign.crash.scenarios import SCENARIOS, make_fleet, warm_up
from campaign.crash.trial import Report, Trial
from tests.support.probe import FAULTS, KILLS

ROW = "{:<28} {:<9} {:<19} {:>7} {:>9} {:>9}"


def main() -> int:
    """Try everything, or a sample; print the table."""
    options = _parse()
    started = time.monotonic()
    warm_up()
    _unused, fleet = make_fleet()
    print(ROW.format("scenario", "goal", "kind", "tried", "survived", "converged"), flush=True)
    reports: list[Report] = []
    choice = Choice(options.kinds)
    for scenario in SCENARIOS:
        if any(wanted in scenario.name for wanted in options.only):
            trial = Trial(scenario, fleet, options.jobs)
            points = [Point(**row) for row in elsewhere(trial.points)]
            variants = _sample(choice.variants(scenario.goal, points), options)
            done = [Report(**row) for row in elsewhere(functools.partial(trial.play, variants))]
            _print_rows(done)
            reports += done
    failed = [report for report in reports if report.problems]
    _print_failures(failed)
    distinct = {(report.scenario, report.number, report.trouble) for report in reports}
    converged = len(reports) - len(failed)
    print(
        f"{len(distinct)} distinct points (goal, call, kind), {len(reports)} tried, {converged} converged "
        f"({100 * converged / max(len(reports), 1):.1f} %), {time.monotonic() - started:.0f} s"
    )
    return 1 if failed or not reports else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="campaign.crash", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=[""], help="scenarios whose name contains one of these")
    parser.add_argument("--kinds", choices=["all", "kills", "faults"], default="all")
    parser.add_argument("--sample", type=int, default=0, help="so many of each scenario, drawn by --seed")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def _sample(variants: list[Variant], options: argparse.Namespace) -> list[Variant]:
    if not options.sample:
        return variants
    return random.Random(options.seed).sample(variants, min(options.sample, len(variants)))


def _print_rows(reports: t.Sequence[Report]) -> None:
    """A row for each kind of one scenario."""
    for kind in map(str, (*KILLS, *FAULTS)):
        tried = [report for report in reports if report.trouble == kind]
        if tried:
            survived = sum(report.survived for report in tried) if kind in map(str, FAULTS) else "-"
            head = (tried[0].scenario, tried[0].goal, kind, len(tried), survived)
            print(ROW.format(*head, sum(not report.problems for report in tried)), flush=True)


def _print_failures(failed: t.Sequence[Report]) -> None:
    for report in failed:
        where = f"{report.call} (#{report.number}, {report.status})"
        print(f"\n{report.scenario}: {report.trouble} at {where}, then {report.way}")
        print(f"  the run: {report.run}\n  the next: {report.next_run}")
        print(*(f"  - {problem}" for problem in report.problems), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
