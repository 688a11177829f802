# SPDX-License-Identifier: GPL-3.0-or-later
"""Scaling in the middle of a release: held while the first step is judged, and harmless where it is not."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._release.module import run_release
from tests.support.fleet import Fleet

HELD: dict[str, t.Any] = {"version": "1.1.0", "steps": ["20", "60", "100"], "hold_scale_out": True}


def suspended(fleet: Fleet) -> list[str]:
    """The processes of the group that are suspended."""
    return [row["ProcessName"] for row in fleet.group()["SuspendedProcesses"]]


def follow(fleet: Fleet, look: t.Callable[[str], None], **wish: t.Any) -> None:
    """Run to the end, with a look after each line."""
    params = fleet.params(**wish)
    for _unused in range(400):
        result = run_release(fleet, params, check_mode=False, clock=fleet)
        look(result["lines"][-1])
        if result["done"]:
            return
        params["context"] = result["context"]
        fleet.sleep(5)
    raise TimeoutError


def test_alarms_scale_nothing_until_the_first_step_has_passed(fleet: Fleet) -> None:
    seen: dict[str, list[str]] = {}
    follow(fleet, lambda line: seen.update({line.split(":")[0]: suspended(fleet)}), **HELD)
    assert seen["starting the instance refresh to 1.1.0"] == ["AlarmNotification"]
    assert seen["resuming scaling by alarms"] == []
    assert seen["step 3/3 (100 %, 5 of 5 instances, planned 5)"] == []
    assert (suspended(fleet), fleet.ledger.held) == ([], False)
    assert fleet.versions() == ["1.1.0"] * 5


def test_what_a_dead_run_held_is_resumed_by_the_next(fleet: Fleet) -> None:
    fleet.start(lambda line: "suspending scaling" in line, **HELD)
    assert (suspended(fleet), fleet.ledger.held) == (["AlarmNotification"], True)
    fleet.release(state="rolled_back")
    assert (suspended(fleet), fleet.ledger.held) == ([], False)


def test_what_is_to_be_held_is_recorded_before_it_is_held(fleet: Fleet) -> None:
    faults = fleet.harness.world.faults
    faults.replace([{"kind": "denied", "service": "autoscaling", "operation": "SuspendProcesses"}])
    with pytest.raises(FleetError, match="denied"):
        fleet.release(**HELD)
    assert (suspended(fleet), fleet.ledger.held) == ([], True)
    faults.clear()
    fleet.release(state="rolled_back")
    assert fleet.ledger.held is False


def test_a_candidate_that_fails_and_a_pause_resume_it(fleet: Fleet) -> None:
    fleet.traffic.jobs_per_second = 0
    paused = fleet.release(**{**HELD, "on_inconclusive": "pause"})
    assert (paused["outcome"], fleet.ledger.step, suspended(fleet)) == ("paused", 0, [])
    fleet.traffic.jobs_per_second = 0.25
    fleet.traffic.failing.add("1.1.0")
    with pytest.raises(FleetError, match="was rolled back"):
        fleet.release(state="promoted")
    assert (suspended(fleet), fleet.versions()) == ([], ["1.0.0"] * 5)


def test_what_somebody_else_suspended_stays_so(fleet: Fleet) -> None:
    fleet.client("autoscaling").suspend_processes(
        AutoScalingGroupName=fleet.names.group, ScalingProcesses=["AlarmNotification"]
    )
    fleet.release(version="1.1.0", percentage="100", hold_scale_out=True)
    assert (suspended(fleet), fleet.ledger.held) == (["AlarmNotification"], False)


def test_a_scale_in_during_a_step_leaves_the_canary_and_the_verdict(fleet: Fleet) -> None:
    counts: list[int] = []

    def shrink(line: str) -> None:
        assert suspended(fleet) == [], "nobody has asked for that"
        if "step 1/3" in line and "judging" in line:
            fleet.client("autoscaling").set_desired_capacity(AutoScalingGroupName=fleet.names.group, DesiredCapacity=3)
        if "step 1/3" in line:
            counts.append(fleet.versions().count("1.1.0"))

    follow(fleet, shrink, version="1.1.0", steps=["20", "60", "100"])
    assert min(counts) == 1
    assert fleet.versions() == ["1.1.0"] * 3


def test_losing_the_only_canary_in_a_step_does_not_hold_the_verdict_up(fleet: Fleet) -> None:
    lost: list[str] = []

    def lose(line: str) -> None:
        candidates = [row for row in fleet.group()["Instances"] if runs(fleet, row) == "1.1.0"]
        if "collecting jobs" in line and candidates and not lost:
            lost.append(candidates[0]["InstanceId"])
            fleet.client("autoscaling").terminate_instance_in_auto_scaling_group(
                InstanceId=lost[0], ShouldDecrementDesiredCapacity=False
            )

    follow(fleet, lose, version="1.1.0", steps=["20", "100"], on_inconclusive="pass")
    assert lost
    assert fleet.versions() == ["1.1.0"] * 5


def runs(fleet: Fleet, row: t.Mapping[str, t.Any]) -> str:
    """The version of an instance."""
    return fleet.release_of(row["InstanceId"]).get("ImageVersion", "")
