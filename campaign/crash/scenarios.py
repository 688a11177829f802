# SPDX-License-Identifier: GPL-3.0-or-later
"""The runs that are disturbed: how each begins, and what is asked for."""

from __future__ import annotations

import dataclasses
import typing as t

from local_aws.harness import Harness
from tests.support.fleet import QUICK_TIMING, make_harness
from tests.support.probe import ProbedFleet

SIZE = 2
STABLE, CANDIDATE = "1.0.0", "1.1.0"
SMOKE = {"count": 1, "payload": {"prompt": "a red three"}}
Wish = t.Mapping[str, t.Any]
DEPLOY: Wish = {"version": CANDIDATE, "percentage": "50", "smoke": SMOKE}
PAUSING: Wish = {
    "version": CANDIDATE,
    "steps": [{"percentage": 50, "pause": True}, 100],
    "hold_scale_out": True,
    "smoke": SMOKE,
}
PROMOTE: Wish = {"state": "promoted", "smoke": SMOKE}
BACK: Wish = {"state": "rolled_back", "reason": "by hand"}


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A run to be disturbed."""

    name: str
    goal: str
    wish: Wish
    prepare: t.Callable[[ProbedFleet], None]
    floor: int = SIZE

    @property
    def again(self) -> Wish:
        """The forward run that is tried afterwards: a deploy, or a promotion of what would stay paused."""
        if self.wish is PAUSING or self.goal == "promote":
            return PROMOTE
        return self.wish if self.goal == "deploy" else {"percentage": "50", "smoke": SMOKE}


def make_fleet() -> tuple[Harness, ProbedFleet]:
    """A provisioned deployment with both images pushed."""
    harness = make_harness()
    fleet = ProbedFleet(harness, SIZE)
    fleet.timing = QUICK_TIMING
    fleet.traffic.jobs_per_second = 0.5
    for version in (STABLE, CANDIDATE):
        fleet.build(version)
    return harness, fleet


def warm_up() -> None:
    """Play a release and a way back in a world of their own.

    botocore and moto load what they need of a service when it is first asked: here, or in each copy of the process.
    """
    harness, fleet = make_fleet()
    for wish in ({"version": STABLE}, DEPLOY, BACK):
        fleet.release(**wish)
    harness.__exit__()


def _empty(_fleet: ProbedFleet) -> None:
    """Nothing was released yet."""


def _stable(fleet: ProbedFleet) -> None:
    fleet.release(version=STABLE)


def _failing(fleet: ProbedFleet) -> None:
    _stable(fleet)
    fleet.traffic.failing.add(CANDIDATE)


def _refusing(fleet: ProbedFleet) -> None:
    _stable(fleet)
    fleet.traffic.refusing.add(CANDIDATE)
    fleet.traffic.most_refused = 2  # more would only repeat the same calls


def _broken(fleet: ProbedFleet) -> None:
    _stable(fleet)
    fleet.never_boots(CANDIDATE)


def _abandoned(fleet: ProbedFleet) -> None:
    _stable(fleet)
    fleet.start(lambda line: "reached, judging" in line, **DEPLOY)


def _started(fleet: ProbedFleet) -> None:
    _stable(fleet)
    fleet.start(lambda line: "starting the instance refresh" in line, **DEPLOY)


def _paused(fleet: ProbedFleet) -> None:
    _stable(fleet)
    fleet.release(**PAUSING)


def _released(fleet: ProbedFleet) -> None:
    _stable(fleet)
    fleet.release(version=CANDIDATE, percentage="100")


def _without_ledger(fleet: ProbedFleet) -> None:
    """As older scripts leave a fleet: nothing but the three parameters says what runs, and the group is on $Latest."""
    _stable(fleet)
    fleet.client("ssm").delete_parameter(Name=fleet.names.ledger)
    template = {"LaunchTemplateName": fleet.names.group, "Version": "$Latest"}
    fleet.client("autoscaling").update_auto_scaling_group(
        AutoScalingGroupName=fleet.names.group, LaunchTemplate=template
    )


SCENARIOS = (
    Scenario("first release", "deploy", {"version": STABLE, "smoke": SMOKE}, _empty, floor=0),
    Scenario("good candidate", "deploy", DEPLOY, _stable),
    Scenario("failing candidate", "deploy", DEPLOY, _failing),
    Scenario("candidate that refuses requests", "deploy", DEPLOY, _refusing),
    Scenario("candidate that never boots", "deploy", DEPLOY, _broken),
    Scenario("abandoned release taken up", "deploy", DEPLOY, _abandoned),
    Scenario("candidate that pauses", "deploy", PAUSING, _stable),
    Scenario("paused release promoted", "promote", PROMOTE, _paused),
    Scenario("promoted early and in full", "promote", {**PROMOTE, "full": True}, _started),
    Scenario("paused release given up", "rollback", BACK, _paused),
    Scenario("abandoned release given up", "rollback", BACK, _abandoned),
    Scenario("back to previous", "rollback", BACK, _released),
    Scenario("fleet without a ledger", "adoption", DEPLOY, _without_ledger),
)
