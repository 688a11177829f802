# SPDX-License-Identifier: GPL-3.0-or-later
"""One scenario: every distinct call of its run, each trouble, and whether the deployment converged."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from campaign.crash.forks import Nursery
from campaign.crash.points import Variant, distinct
from campaign.crash.scenarios import BACK, PROMOTE, Scenario, Wish
from campaign.findings import outcome
from tests.support.invariants import lowest_in_service, violations
from tests.support.probe import FAULTS, Died, ProbedFleet, Trouble

SETTLING = 40
"""Virtual seconds until instances that were on their way out are gone."""


@dataclasses.dataclass
class Report:
    """How it ended."""

    scenario: str
    goal: str
    status: str
    call: str
    number: int
    trouble: str
    way: str
    run: str = ""
    """How the disturbed run ended."""
    survived: bool = False
    """Whether that run left everything in order by itself."""
    next_run: str = ""
    problems: list[str] = dataclasses.field(default_factory=list)


class Trial:
    """Plays one scenario in a process that already holds its world."""

    def __init__(self, scenario: Scenario, fleet: ProbedFleet, jobs: int) -> None:
        self._scenario = scenario
        self._fleet = fleet
        self._nursery = Nursery(jobs)
        self._variants: dict[int, list[Variant]] = {}
        self._mine: Variant | None = None
        """In a child: what it is there to try."""

    def points(self) -> list[dict[str, t.Any]]:
        """The distinct calls of the run, by playing it; only for a copy of this process."""
        self._scenario.prepare(self._fleet)
        return [dataclasses.asdict(point) for point in distinct(self._record())]

    def _record(self) -> list[list[t.Any]]:
        """Status, step and calls of each tick of an undisturbed run."""
        fleet, ticks, seen = self._fleet, [], len(self._fleet.probe.calls)

        def note(result: dict[str, t.Any]) -> None:
            nonlocal seen
            ledger = result["ledger"]
            ticks.append([f"{ledger['status']} {ledger['step']}", fleet.probe.calls[seen:]])
            seen = len(fleet.probe.calls)

        fleet.on_tick = note
        attempt(fleet, self._scenario.wish)
        return ticks

    def play(self, variants: t.Iterable[Variant]) -> list[dict[str, t.Any]]:
        """Try these; the reports. Only for a copy of this process."""
        self._scenario.prepare(self._fleet)
        offset = len(self._fleet.probe.calls)
        for variant in variants:
            self._variants.setdefault(variant.point.number + offset, []).append(variant)
        self._fleet.probe.disturb = self._at
        started = self._fleet.now().isoformat()
        ended = attempt(self._fleet, self._scenario.wish)
        if self._mine is not None:
            self._nursery.report(dataclasses.asdict(self._judge_safely(self._mine, ended, started)))
        if ended.startswith("BUG"):
            raise RuntimeError(f"{self._scenario.name}, undisturbed: {ended}")
        return self._nursery.reports()

    def _at(self, number: int) -> Trouble | None:
        """Fork for each variant of this call; only a child meets the trouble."""
        for variant in self._variants.get(number, ()):
            if self._nursery.fork():
                self._mine = variant
                self._fleet.probe.disturb = lambda _number: None
                return variant.trouble
        return None

    def _judge(self, variant: Variant, ended: str, started: str) -> Report:
        scenario, report = self._scenario, self._report(variant, ended)
        if variant.trouble in FAULTS:
            found = self._settled()
            report.survived = not found
        if not report.survived:
            report.next_run = attempt(self._fleet, scenario.again if variant.way == "forward" else BACK)
            if self._fleet.ledger.paused:  # at rest as planned, and to be promoted
                report.next_run += "; " + attempt(self._fleet, PROMOTE)
            found = self._settled()
        report.problems = [*found, *self._history_of(report, started), *idle(self._fleet)]
        return report

    def _settled(self) -> list[str]:
        """What is wrong once instances on their way out are gone."""
        self._fleet.sleep(SETTLING)
        return violations(self._fleet)

    def _judge_safely(self, variant: Variant, ended: str, started: str) -> Report:
        """A look that fails is a problem as well."""
        judged, error = outcome(lambda: self._judge(variant, ended, started))
        if judged is not None:
            return judged
        report = self._report(variant, ended)
        report.problems.append(f"BUG: {error}")
        return report

    def _report(self, variant: Variant, ended: str) -> Report:
        point, scenario = variant.point, self._scenario
        return Report(
            scenario.name,
            scenario.goal,
            point.status,
            point.call,
            point.number,
            variant.trouble,
            variant.way,
            run=ended,
        )

    def _history_of(self, report: Report, started: str) -> t.Iterator[str]:
        """What the state at the end does not show."""
        lowest = lowest_in_service(self._fleet, started)
        if lowest < self._scenario.floor:
            yield f"{lowest} instances in service, the floor is {self._scenario.floor}"
        yield from (text for text in (report.run, report.next_run) if text.startswith("BUG"))


def attempt(fleet: ProbedFleet, wish: Wish) -> str:
    """One run to its end, in words."""
    ended, error = outcome(lambda: _run(fleet, wish))
    return ended or f"BUG: {error}"


def _run(fleet: ProbedFleet, wish: Wish) -> str:
    try:
        return str(fleet.release(**wish)["lines"][-1])
    except Died:
        return "died"
    except FleetError as error:
        return f"{type(error).__name__}: {error.message}"


def idle(fleet: ProbedFleet) -> t.Iterator[str]:
    """A run with nothing to do changes nothing."""
    stable = fleet.ledger.stable
    if stable is not None:
        try:
            changed = fleet.release(version=stable.version)["changed"]
        except FleetError as error:
            yield f"a run of what is stable fails: {error.message}"
        else:
            yield from ["a second run changed something"] if changed else []
