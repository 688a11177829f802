# SPDX-License-Identifier: Apache-2.0
"""The rules of Instance Refresh, one a test."""

from __future__ import annotations

import typing as t

import pytest
from botocore.exceptions import ClientError

from local_aws.settings import Rules
from local_aws.world import AlarmState
from tests.support.scaling import GROUP, Fleet


def refused(code: str, text: str, call: t.Callable[[], object]) -> None:
    """The call fails with that code and a message that holds the text."""
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code
    assert text in caught.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    ("preferences", "text"),
    [
        ({"MaxHealthyPercentage": 110}, "MinHealthyPercentage"),
        ({"MinHealthyPercentage": 50, "MaxHealthyPercentage": 200}, "cannot be greater than 100"),
        ({"CheckpointDelay": 60}, "CheckpointPercentages"),
        ({"CheckpointPercentages": [40, 20]}, "ascending"),
        ({"CheckpointPercentages": [20, 20, 100]}, "unique"),
        ({"CheckpointPercentages": [100], "CheckpointDelay": 172801}, "CheckpointDelay"),
        ({"BakeTime": 172801}, "BakeTime"),
        ({"AlarmSpecification": {"Alarms": ["none"]}}, "does not exist"),
    ],
)
def test_preferences_are_validated(fleet: Fleet, preferences: dict[str, t.Any], text: str) -> None:
    """What AWS refuses is refused, naming the preference."""
    fleet.create(1, settle=False)
    refused("ValidationError", text, lambda: fleet.start(**preferences))


def test_only_one_refresh_at_a_time(fleet: Fleet) -> None:
    """A second start is InstanceRefreshInProgress; without any, cancel and rollback find none."""
    fleet.create(2)
    none = ("ActiveInstanceRefreshNotFound", "No in progress")
    refused(*none, lambda: fleet.asg.cancel_instance_refresh(AutoScalingGroupName=GROUP))
    refused(*none, lambda: fleet.asg.rollback_instance_refresh(AutoScalingGroupName=GROUP))
    fleet.start()
    refused("InstanceRefreshInProgress", "already in progress", fleet.start)


def test_auto_rollback_needs_a_numbered_desired_configuration(fleet: Fleet) -> None:
    """Neither no desired configuration nor $Latest can be rolled back by itself."""
    fleet.create(1)
    refused("ValidationError", "DesiredConfiguration", lambda: fleet.start(None, AutoRollback=True))
    refused("ValidationError", "$Latest", lambda: fleet.start("$Latest", AutoRollback=True))


def test_irreversible_without_desired_configuration(fleet: Fleet) -> None:
    """A refresh without desired configuration cannot be rolled back."""
    fleet.create(2)
    fleet.start(None)
    refused(
        "IrreversibleInstanceRefresh",
        "no desired configuration",
        lambda: fleet.asg.rollback_instance_refresh(AutoScalingGroupName=GROUP),
    )


@pytest.mark.parametrize("state", ["ALARM", "INSUFFICIENT_DATA"])
def test_alarms_must_be_ok_to_start(fleet: Fleet, state: AlarmState) -> None:
    """AWS does not start on ALARM, nor on INSUFFICIENT_DATA."""
    fleet.create(1)
    fleet.alarm("gate", state)
    refused("ValidationError", state, lambda: fleet.start(AlarmSpecification={"Alarms": ["gate"]}))


def test_insufficient_data_pauses_and_alarm_fails(fleet: Fleet) -> None:
    """Without data nothing is replaced; in ALARM the refresh fails, and without AutoRollback that is all."""
    fleet.create(3)
    fleet.alarm("gate", "OK")
    fleet.start(AlarmSpecification={"Alarms": ["gate"]})
    fleet.alarm("gate", "INSUFFICIENT_DATA")
    fleet.advance(60)
    assert len(fleet.ids(version="1")) == 3 and "insufficient data" in fleet.refresh()["StatusReason"]
    fleet.alarm("gate", "ALARM")
    fleet.advance(3)
    assert fleet.refresh()["Status"] == "Failed"
    assert fleet.group()["LaunchTemplate"]["Version"] == "1"


def test_template_cannot_be_updated_during_a_refresh(fleet: Fleet) -> None:
    """The group's template is not available while a refresh with desired configuration runs; its size is."""
    fleet.create(2)
    fleet.start()
    refused(
        "ValidationError",
        "not available for update",
        lambda: fleet.asg.update_auto_scaling_group(AutoScalingGroupName=GROUP, LaunchTemplate=fleet.version("2")),
    )
    fleet.asg.update_auto_scaling_group(AutoScalingGroupName=GROUP, MaxSize=9)


def test_one_instance_is_replaced_at_once_without_maximum(fleet: Fleet) -> None:
    """A group of one without MaxHealthyPercentage has an outage."""
    fleet.create(1, hooks=True)
    fleet.start()
    assert fleet.lowest(8) == 0
    assert fleet.until("Successful")


def test_explicit_maximum_launches_first(fleet: Fleet) -> None:
    """MaxHealthyPercentage 100 given explicitly: one more is launched before the old one goes."""
    fleet.create(1, hooks=True)
    fleet.start(MinHealthyPercentage=100, MaxHealthyPercentage=100)
    assert fleet.lowest(60) == 1
    assert fleet.until("Successful")


def test_floor_holds_with_surge(fleet: Fleet) -> None:
    """100/120 of 10: never fewer than 10 in service."""
    fleet.create(10, hooks=True)
    fleet.start(MinHealthyPercentage=100, MaxHealthyPercentage=120, InstanceWarmup=5)
    assert fleet.lowest(300) == 10
    assert fleet.refresh()["Status"] == "Successful"


def test_small_group_skips_checkpoints(fleet: Fleet) -> None:
    """With 2 instances the first replacement is 50 %: 10 and 40 are one stop."""
    fleet.create(2)
    fleet.start(
        MinHealthyPercentage=100, MaxHealthyPercentage=150, CheckpointPercentages=[10, 40, 100], CheckpointDelay=100
    )
    fleet.advance(30)
    assert fleet.refresh()["PercentageComplete"] == 50
    fleet.until("Successful")
    assert [e["checkpoint"] for e in fleet.world.timeline.entries if e["event"] == "checkpoint"] == [40]


def test_last_checkpoint_below_hundred_succeeds_at_that_share(fleet: Fleet) -> None:
    """40 % of 5 are replaced, and the new version is saved nevertheless."""
    fleet.create(5)
    fleet.start(CheckpointPercentages=[40])
    assert fleet.until("Successful")["PercentageComplete"] == 40
    fleet.advance(60)
    assert len(fleet.ids(version="2")) == 2 and fleet.group()["LaunchTemplate"]["Version"] == "2"


def test_scale_out_during_a_refresh_launches_the_desired_version(fleet: Fleet) -> None:
    """New capacity is the candidate, and the checkpoint is passed once more."""
    fleet.create(10)
    fleet.start(CheckpointPercentages=[20, 100], CheckpointDelay=600)
    fleet.advance(60)
    fleet.asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=14)
    fleet.advance(20)
    assert (len(fleet.ids(version="1")), len(fleet.ids(version="2"))) == (8, 6)


def test_a_scale_in_during_a_refresh_takes_out_new_instances_too(fleet: Fleet) -> None:
    """Once all old ones are gone nothing but a scale-in brings the group down to its desired capacity."""
    fleet.create(2)
    fleet.start(MinHealthyPercentage=100, MaxHealthyPercentage=200, InstanceWarmup=60)
    fleet.advance_until(lambda: not fleet.ids(None, "1"))
    fleet.asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=4)
    fleet.advance_until(lambda: len(fleet.ids()) == 4)
    fleet.asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=1)
    assert fleet.until("Successful", limit=600)["PercentageComplete"] == 100
    fleet.advance(30)
    assert len(fleet.ids(None)) == 1


def test_skip_matching_counts_instances(fleet: Fleet) -> None:
    """Only what does not match is replaced."""
    fleet.create(5)
    fleet.start(CheckpointPercentages=[40, 100])
    fleet.advance(60)
    fleet.asg.cancel_instance_refresh(AutoScalingGroupName=GROUP)
    assert fleet.until("Cancelled")
    kept = set(fleet.ids(version="2"))
    fleet.start(SkipMatching=True)
    fleet.until("Successful")
    assert len(kept) == 2 and kept <= set(fleet.ids(version="2")) and len(fleet.ids(version="2")) == 5


@pytest.mark.parametrize(("immediate", "candidates"), [(True, 2), (False, 0)])
def test_skip_matching_after_cancel_both_readings(immediate: bool, candidates: int) -> None:
    """Back to the saved version after a cancel: at once without replacing, or by counting instances."""
    with Fleet(Rules(skip_matching_after_cancel_is_immediate=immediate)) as fleet:
        fleet.create(5)
        fleet.start(CheckpointPercentages=[40, 100])
        fleet.advance(60)
        fleet.asg.cancel_instance_refresh(AutoScalingGroupName=GROUP)
        fleet.until("Cancelled")
        fleet.start("1", SkipMatching=True)
        fleet.until("Successful")
        assert len(fleet.ids(version="2")) == candidates


@pytest.mark.parametrize(("covers", "candidates"), [(True, 0), (False, 2)])
def test_native_rollback_of_earlier_refreshes_both_readings(covers: bool, candidates: int) -> None:
    """What a cancelled refresh launched goes in a later refresh's rollback, or stays."""
    with Fleet(Rules(native_rollback_covers_earlier_refreshes=covers)) as fleet:
        fleet.create(5)
        fleet.start(CheckpointPercentages=[40, 100])
        fleet.advance(60)
        fleet.asg.cancel_instance_refresh(AutoScalingGroupName=GROUP)
        fleet.until("Cancelled")
        fleet.start(SkipMatching=True, CheckpointPercentages=[60, 100])
        fleet.advance(60)
        fleet.asg.rollback_instance_refresh(AutoScalingGroupName=GROUP)
        fleet.until("RollbackSuccessful")
        assert len(fleet.ids(version="2")) == candidates


@pytest.mark.parametrize("allowed", [True, False])
def test_rollback_while_baking_both_readings(allowed: bool) -> None:
    """Rollback in Baking is done, or is IrreversibleInstanceRefresh."""
    with Fleet(Rules(rollback_while_baking_allowed=allowed)) as fleet:
        fleet.create(2)
        fleet.start(BakeTime=600)
        assert fleet.until("Baking")["PercentageComplete"] == 100
        if not allowed:
            refused(
                "IrreversibleInstanceRefresh",
                "baking",
                lambda: fleet.asg.rollback_instance_refresh(AutoScalingGroupName=GROUP),
            )
            return
        fleet.asg.rollback_instance_refresh(AutoScalingGroupName=GROUP)
        fleet.until("RollbackSuccessful")
        assert len(fleet.ids(version="1")) == 2


def test_cancel_does_not_roll_back(fleet: Fleet) -> None:
    """After a cancel both versions stay, and the group launches the saved one."""
    fleet.create(5)
    fleet.start(CheckpointPercentages=[20, 100])
    fleet.advance(60)
    fleet.asg.cancel_instance_refresh(AutoScalingGroupName=GROUP)
    fleet.until("Cancelled")
    fleet.asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=7)
    fleet.advance(30)
    assert (len(fleet.ids(version="1")), len(fleet.ids(version="2"))) == (6, 1)


def test_a_cancel_lets_what_was_launched_come_into_service(fleet: Fleet) -> None:
    """A launch under way ends before the group takes out the surplus: nobody is missing meanwhile."""
    fleet.create(2, hooks=True)
    fleet.start(MinHealthyPercentage=100, MaxHealthyPercentage=200)
    lowest = 2
    while not fleet.ids(version="2", state="Pending:Wait"):
        fleet.advance(1)
    fleet.asg.cancel_instance_refresh(AutoScalingGroupName=GROUP)
    while fleet.refresh()["Status"] != "Cancelled":
        lowest = min(lowest, len(fleet.ids(state="InService")))
        fleet.advance(1)
    assert lowest == 2


def test_cancel_stops_a_rollback(fleet: Fleet) -> None:
    """A rollback under way can be cancelled."""
    fleet.create(5, hooks=True)
    fleet.start(CheckpointPercentages=[60, 100])
    fleet.advance(100)
    fleet.asg.rollback_instance_refresh(AutoScalingGroupName=GROUP)
    fleet.advance(2)
    fleet.asg.cancel_instance_refresh(AutoScalingGroupName=GROUP, WaitForTransitioningInstances=False)
    fleet.advance(2)
    assert fleet.refresh()["Status"] == "Cancelled"


def test_protected_instances_wait_an_hour_then_fail() -> None:
    """The default, Wait, fails after an hour, which the speed divides."""
    with Fleet(speed=60) as fleet:
        fleet.create(2, NewInstancesProtectedFromScaleIn=True)
        fleet.start()
        fleet.advance(30)
        assert "protected from scale in" in fleet.refresh()["StatusReason"]
        assert fleet.until("Failed", limit=90)


def test_protected_instances_are_refreshed_when_asked(fleet: Fleet) -> None:
    """Refresh replaces protected instances, Ignore leaves them."""
    fleet.create(2, NewInstancesProtectedFromScaleIn=True)
    fleet.start(ScaleInProtectedInstances="Ignore")
    fleet.until("Successful")
    assert len(fleet.ids(version="1")) == 2
    fleet.start(ScaleInProtectedInstances="Refresh")
    fleet.until("Successful")
    assert len(fleet.ids(version="2")) == 2


def test_standby_instances_are_ignored_when_asked(fleet: Fleet) -> None:
    """Ignore leaves an instance in Standby alone."""
    fleet.create(3)
    one = fleet.ids()[0]
    fleet.asg.enter_standby(InstanceIds=[one], AutoScalingGroupName=GROUP, ShouldDecrementDesiredCapacity=True)
    fleet.advance(3)
    fleet.start(StandbyInstances="Ignore")
    fleet.until("Successful")
    assert fleet.ids("Standby", "1") == [one] and len(fleet.ids(version="2")) == 2


def test_failed_launches_are_retried_for_an_hour_then_rolled_back() -> None:
    """A version that never boots: an hour of tries, then the automatic rollback."""
    with Fleet(speed=60) as fleet:
        fleet.create(3, hooks=True)
        fleet.runner.failing.add("release-1.1.0")
        fleet.start(AutoRollback=True)
        done = fleet.until("RollbackSuccessful", limit=600)
        assert "one hour" in done["RollbackDetails"]["RollbackReason"] and len(fleet.ids(version="1")) == 3


def test_warm_up_delays_the_next_replacement(fleet: Fleet) -> None:
    """An instance counts only when its warm-up is over."""
    fleet.create(2)
    fleet.start(InstanceWarmup=100)
    fleet.advance(50)
    assert fleet.refresh()["PercentageComplete"] == 0 and "warming up" in fleet.refresh()["StatusReason"]
    fleet.advance(70)
    assert fleet.refresh()["PercentageComplete"] == 50


def test_history_is_six_weeks() -> None:
    """Older refreshes are forgotten."""
    with Fleet(speed=10000) as fleet:
        fleet.create(1)
        fleet.start()
        fleet.until("Successful")
        fleet.advance(400, step=10)
        assert fleet.asg.describe_instance_refreshes(AutoScalingGroupName=GROUP)["InstanceRefreshes"] == []


def test_maintenance_policy_gives_the_bounds(fleet: Fleet) -> None:
    """Bounds left out come from the group's maintenance policy, as explicit ones."""
    fleet.create(1, InstanceMaintenancePolicy={"MinHealthyPercentage": 100, "MaxHealthyPercentage": 200})
    fleet.start()
    assert fleet.refresh()["Preferences"]["MaxHealthyPercentage"] == 200
    assert fleet.lowest(30) == 1
