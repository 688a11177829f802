# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS has no capacity for hours: a release that waits for instances ends, a way back says what it waits for."""

from __future__ import annotations

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from local_aws.harness import Harness
from tests.support.fleet import TIMING, Fleet

NO_CAPACITY = [{"kind": "insufficient_capacity"}]


def patient(fleet: Fleet) -> Fleet:
    """With longer polls: an hour is made of them."""
    fleet.timing = {**TIMING, "poll": 60, "lock_renew": 75, "lock_expiry": 180, "gate_period": 60, "gate_periods": 3}
    return fleet


def test_a_first_release_that_gets_no_instances_ends_and_leaves_an_empty_group(harness: Harness) -> None:
    fleet = patient(Fleet(harness, 2))
    fleet.build("1.0.0")
    harness.world.faults.replace(NO_CAPACITY)
    before = fleet.now()
    with pytest.raises(
        FleetError, match=r"0 of 2 instances in service with 1\.0\.0 after 1:00:00; the group's activities"
    ):
        fleet.release(version="1.0.0")
    assert 3600 < (fleet.now() - before).total_seconds() < 4200
    assert (fleet.group()["DesiredCapacity"], fleet.ledger.is_open, fleet.locks()) == (0, False, [])


def test_a_group_that_cannot_be_woken_is_an_error_and_nothing_was_started(fleet: Fleet) -> None:
    patient(fleet)
    fleet.client("autoscaling").set_desired_capacity(AutoScalingGroupName=fleet.names.group, DesiredCapacity=0)
    fleet.sleep(60)
    fleet.harness.world.faults.replace(NO_CAPACITY)
    with pytest.raises(FleetError, match="none of 5 instances of the stable release came into service within 1:00:00"):
        fleet.release(version="1.1.0")
    assert (fleet.ledger.refresh_id, fleet.locks()) == (None, [])
    fleet.harness.world.faults.clear()
    assert fleet.release(version="1.1.0", percentage="100")["outcome"] == "succeeded"


def test_a_way_back_says_what_it_waits_for_and_goes_on(fleet: Fleet) -> None:
    patient(fleet)
    fleet.client("autoscaling").set_desired_capacity(AutoScalingGroupName=fleet.names.group, DesiredCapacity=0)
    fleet.sleep(60)
    fleet.harness.world.faults.replace(NO_CAPACITY)
    fleet.start(lambda line: "0 of 5 instances in service yet" in line, version="1.1.0")
    fleet.sleep(200)
    fleet.start(lambda line: "going back: 0 of 5" in line and "waiting for Auto Scaling" in line, state="rolled_back")
    fleet.sleep(200)
    fleet.harness.world.faults.clear()
    assert fleet.release(state="rolled_back")["outcome"] == "rolled_back"
    assert fleet.versions() == ["1.0.0"] * 5
