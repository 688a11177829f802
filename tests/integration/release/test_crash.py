# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that dies, two runs at once, and nobody at all."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError, LockHeld, LockLost
from ansible_collections.diffusion.fleet.plugins.module_utils._release.module import run_release
from tests.support.fleet import TIMING, Fleet


def judging(line: str) -> bool:
    """Whether a step has just been reached."""
    return "reached, judging" in line


def step_in_turn(fleet: Fleet, *runs: dict[str, t.Any]) -> None:
    """Let runs work side by side, one step each in turn."""
    for _unused in range(20):
        for run in runs:
            run["context"] = run_release(fleet, run, check_mode=False, clock=fleet)["context"]
        fleet.sleep(TIMING["poll"])


def test_the_next_deploy_takes_the_release_up(fleet: Fleet) -> None:
    fleet.start(judging, version="1.1.0", percentage="50")
    result = fleet.release(version="1.1.0", percentage="50")
    assert result["outcome"] == "succeeded"
    assert fleet.versions() == ["1.1.0"] * 5
    assert fleet.ledger.sequence == 2
    assert fleet.locks() == []


def test_a_rollback_instead_returns_to_stable(fleet: Fleet) -> None:
    fleet.start(judging, version="1.1.0", percentage="50")
    fleet.release(state="rolled_back", reason="changed my mind")
    assert fleet.versions() == ["1.0.0"] * 5
    assert fleet.parameter("deployment-status") == "stable"
    assert fleet.ledger.rejected[0].version == "1.1.0"


def test_the_gate_rolls_back_what_nobody_watches(fleet: Fleet) -> None:
    fleet.start(judging, version="1.1.0", percentage="50")
    fleet.sleep(240)
    assert fleet.versions() == ["1.0.0"] * 5
    assert fleet.parameter("image-version") == "1.0.0"
    reason = r"1\.1\.0 was rolled back: AWS ended the instance refresh as RollbackSuccessful"
    with pytest.raises(FleetError, match=reason):
        fleet.release(version="1.1.0", percentage="50")
    assert fleet.parameter("deployment-status") == "stable"


def test_another_version_is_not_started_over_an_open_release(fleet: Fleet) -> None:
    fleet.build("1.2.0")
    fleet.start(judging, version="1.1.0", percentage="50")
    fleet.sleep(TIMING["lock_expiry"] + 1)
    with pytest.raises(FleetError, match=r"The release of 1\.1\.0 is open; nothing was changed"):
        fleet.release(version="1.2.0")


def test_of_two_runs_at_once_the_second_names_the_holder_within_30_seconds(fleet: Fleet) -> None:
    first = fleet.params(version="1.1.0", percentage="50", owner="ada")
    second = fleet.params(version="1.1.0", percentage="50", owner="bob")
    first["context"] = run_release(fleet, first, check_mode=False, clock=fleet)["context"]
    started = fleet.now()
    with pytest.raises(LockHeld, match="ada@"):
        step_in_turn(fleet, first, second)
    assert (fleet.now() - started).total_seconds() <= 30
    assert fleet.follow(first)["outcome"] == "succeeded"


def test_a_run_that_was_taken_over_stops(fleet: Fleet) -> None:
    sleeper = fleet.params(version="1.1.0", percentage="50")
    for _unused in range(3):
        sleeper["context"] = run_release(fleet, sleeper, check_mode=False, clock=fleet)["context"]
    fleet.sleep(TIMING["lock_expiry"] + 1)
    fleet.start(judging, version="1.1.0", percentage="50")
    with pytest.raises(LockLost, match="was taken over"):
        run_release(fleet, sleeper, check_mode=False, clock=fleet)
