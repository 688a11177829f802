# SPDX-License-Identifier: Apache-2.0
"""Instance Refresh, as a client sees it."""

from __future__ import annotations

from tests.support.scaling import GROUP, Fleet


def test_rolling_success_saves_the_configuration(fleet: Fleet) -> None:
    """Every instance is replaced, and only then the group's template changes."""
    fleet.create(5, hooks=True)
    fleet.start()
    fleet.advance(12)
    assert fleet.group()["LaunchTemplate"]["Version"] == "1"
    done = fleet.until("Successful", "Failed")
    assert (done["Status"], done["PercentageComplete"], done["InstancesToUpdate"]) == ("Successful", 100, 0)
    assert fleet.group()["LaunchTemplate"]["Version"] == "2"
    assert len(fleet.instances(version="2")) == 5


def test_checkpoints_stop_for_their_delay(fleet: Fleet) -> None:
    """At 20 % of 5 one instance runs the new version until the delay is over."""
    fleet.create(5)
    fleet.start(
        MinHealthyPercentage=100, MaxHealthyPercentage=120, CheckpointPercentages=[20, 100], CheckpointDelay=300
    )
    fleet.advance(30)
    assert fleet.refresh()["PercentageComplete"] == 20
    fleet.advance(200)
    assert (len(fleet.instances(version="1")), len(fleet.instances(version="2"))) == (4, 1)
    assert fleet.until("Successful")["PercentageComplete"] == 100


def test_auto_rollback_on_an_alarm(fleet: Fleet) -> None:
    """An alarm turns the refresh round; the group's saved version returns."""
    fleet.create(5)
    fleet.alarm("gate", "OK")
    fleet.start(
        CheckpointPercentages=[20, 100], CheckpointDelay=300, AutoRollback=True, AlarmSpecification={"Alarms": ["gate"]}
    )
    fleet.advance(60)
    fleet.alarm("gate", "ALARM")
    done = fleet.until("RollbackSuccessful", "RollbackFailed", "Failed")
    assert done["Status"] == "RollbackSuccessful" and "gate" in done["RollbackDetails"]["RollbackReason"]
    assert (done["RollbackDetails"]["PercentageCompleteOnRollback"], done["PercentageComplete"]) == (20, 0)
    assert len(fleet.instances(version="1")) == 5 and fleet.group()["LaunchTemplate"]["Version"] == "1"


def test_scale_and_delete(fleet: Fleet) -> None:
    """Desired capacity is followed both ways."""
    fleet.create(2)
    fleet.asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=4)
    fleet.advance(10)
    assert len(fleet.ids()) == 4
    fleet.asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=0)
    fleet.advance(10)
    fleet.asg.delete_auto_scaling_group(AutoScalingGroupName=GROUP)
    assert fleet.asg.describe_auto_scaling_groups()["AutoScalingGroups"] == []
