# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS refuses for a while: a release that hangs on its run is not given up while its gate would hold."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import AwsError
from ansible_collections.diffusion.fleet.plugins.module_utils._release.module import run_release
from tests.support.fleet import TIMING, Fleet

GATE = {"gate_period": 60, "gate_periods": 3, "inconclusive_limit": 400}
HOLD = GATE["gate_period"] * GATE["gate_periods"]


@dataclasses.dataclass
class Trouble:
    """A clock on which an operation is refused for some seconds, from when the first step waits for its verdict."""

    fleet: Fleet
    operation: str
    seconds: float
    since: dt.datetime | None = None

    def now(self) -> dt.datetime:
        """Virtual time."""
        return self.fleet.now()

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.fleet.sleep(seconds)
        faults = self.fleet.harness.world.faults
        if self.since is None and self.fleet.ledger.step_reached_at is not None:
            self.since = self.now()
            faults.replace([{"kind": "throttle", "operation": self.operation}])
        if self.since is not None and (self.now() - self.since).total_seconds() >= self.seconds:
            faults.clear()


def release(fleet: Fleet, operation: str, seconds: float) -> dict[str, t.Any]:
    """A whole release in one call, with that trouble in it."""
    fleet.timing = {**TIMING, **GATE}
    params = fleet.params(version="1.1.0", percentage="50", hold=86400.0)
    return run_release(fleet, params, check_mode=False, clock=Trouble(fleet, operation, seconds))


def test_a_run_that_holds_the_lock_goes_on_for_as_long_as_the_gate_holds(fleet: Fleet) -> None:
    result = release(fleet, "DescribeAutoScalingGroups", HOLD - TIMING["poll"])
    assert (result["outcome"], fleet.versions()) == ("succeeded", ["1.1.0"] * 5)


def test_trouble_that_outlasts_the_gate_ends_the_run(fleet: Fleet) -> None:
    before = fleet.now()
    with pytest.raises(AwsError, match="Rate exceeded"):
        release(fleet, "FilterLogEvents", 86400)
    assert (fleet.now() - before).total_seconds() > HOLD


def test_a_run_without_a_lock_fails_at_the_first_refusal(fleet: Fleet) -> None:
    fleet.harness.world.faults.replace([{"kind": "throttle", "service": "ssm"}])
    before = fleet.now()
    with pytest.raises(AwsError):
        fleet.call(fleet.params(version="1.1.0", hold=86400.0))
    assert fleet.now() == before
