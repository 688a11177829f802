# SPDX-License-Identifier: Apache-2.0
"""Root volumes replaced in place, one rule a test."""

from __future__ import annotations

import typing as t

import pytest
from botocore.exceptions import ClientError

from local_aws.settings import Rules
from tests.support.scaling import GROUP, Fleet

OLD, NEW = "ami-12345678", "ami-1234abcd"
TYPE = "g4dn.xlarge"


def policy(fleet: Fleet, image: str | None, version: str = "1", kind: str = TYPE) -> dict[str, t.Any]:
    """A mixed instances policy of one type."""
    override = {"InstanceType": kind} | ({"ImageId": image} if image else {})
    launch = {"LaunchTemplateSpecification": fleet.version(version), "Overrides": [override]}
    return {"MixedInstancesPolicy": {"LaunchTemplate": launch}}


def create(fleet: Fleet, desired: int = 4, hooks: bool = False) -> None:
    """A group with a policy, in service."""
    fleet.create(desired, hooks, LaunchTemplate={}, **policy(fleet, OLD))


def start(fleet: Fleet, desired: dict[str, t.Any], **preferences: t.Any) -> None:
    """Start to replace root volumes."""
    fleet.asg.start_instance_refresh(
        AutoScalingGroupName=GROUP,
        Strategy="ReplaceRootVolume",
        DesiredConfiguration=desired,
        Preferences={"InstanceWarmup": 0} | preferences,
    )


def images(fleet: Fleet) -> dict[str, str]:
    """The AMIs of the instances in service."""
    return {row["InstanceId"]: row["ImageId"] for row in fleet.instances()}


def volumes(fleet: Fleet) -> set[str]:
    """The volumes of the instances."""
    rows = fleet.ec2.describe_instances(InstanceIds=fleet.ids())["Reservations"]
    instances = [instance for row in rows for instance in row["Instances"]]
    return {device["Ebs"]["VolumeId"] for one in instances for device in one["BlockDeviceMappings"]}


def states(fleet: Fleet, instance_id: str) -> list[str]:
    """The lifecycle states that an instance has gone through."""
    rows = fleet.world.timeline.entries
    return [row["lifecycle"] for row in rows if row.get("instance") == instance_id and row["event"] == "state"]


@pytest.fixture
def told() -> t.Iterator[Fleet]:
    """A fleet whose workers are told before their root volume goes, and complete their termination hook."""
    with Fleet(Rules(root_volume_target_is_terminated=True)) as running:
        yield running


def test_instances_stay_and_get_a_root_volume_of_the_new_ami(told: Fleet) -> None:
    """Through both hooks; the group saves the new configuration."""
    fleet = told
    create(fleet, hooks=True)
    before, old = images(fleet), volumes(fleet)
    start(fleet, policy(fleet, NEW), MinHealthyPercentage=50)
    assert fleet.until("Successful")["PercentageComplete"] == 100
    assert images(fleet) == dict.fromkeys(before, NEW)
    assert volumes(fleet).isdisjoint(old) and len(volumes(fleet)) == 4
    assert states(fleet, next(iter(before)))[-8:] == [
        "ReplacingRootVolume",
        "ReplacingRootVolume:Wait",
        "ReplacingRootVolume:Proceed",
        "RootVolumeReplaced",
        "Pending",
        "Pending:Wait",
        "Pending:Proceed",
        "InService",
    ]
    overrides = fleet.group()["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"]
    assert overrides == [{"InstanceType": TYPE, "ImageId": NEW}]


@pytest.mark.parametrize(("minimum", "floor"), [(50, 2), (75, 3), (100, 3)])
def test_the_floor_holds_and_nothing_is_launched(fleet: Fleet, minimum: int, floor: int) -> None:
    """One at a time where the floor leaves no room: in place there is nothing to launch first."""
    create(fleet)
    before = set(fleet.ids())
    start(fleet, policy(fleet, NEW), MinHealthyPercentage=minimum)
    assert fleet.lowest(120) == floor
    assert fleet.refresh()["Status"] == "Successful"
    assert set(fleet.ids()) == before


def test_what_aws_refuses(fleet: Fleet) -> None:
    """An ImageId in every override, numbered versions, the same template, types that the policy names."""
    create(fleet, 1)
    fleet.new_version("1.2.0")
    cases = [
        ({"LaunchTemplate": fleet.version("1")}, "mixed instances policy"),
        (policy(fleet, None), "ImageId in every override"),
        (policy(fleet, NEW, "$Latest"), "$Latest"),
        (policy(fleet, NEW, "2"), "ImageId only"),
        (policy(fleet, NEW, kind="g5.xlarge"), "instance types"),
    ]
    for desired, text in cases:
        with pytest.raises(ClientError) as caught:
            start(fleet, desired)
        assert caught.value.response["Error"]["Code"] == "ValidationError"
        assert text in caught.value.response["Error"]["Message"]


def test_skip_matching_compares_amis(fleet: Fleet) -> None:
    """An instance that has the AMI already is left alone."""
    create(fleet)
    start(fleet, policy(fleet, NEW), CheckpointPercentages=[50, 100], CheckpointDelay=600, MinHealthyPercentage=50)
    fleet.advance(60)
    fleet.asg.cancel_instance_refresh(AutoScalingGroupName=GROUP)
    fleet.until("Cancelled")
    done = [one for one, image in images(fleet).items() if image == NEW]
    assert len(done) == 2
    seen = {one: len(states(fleet, one)) for one in done}
    start(fleet, policy(fleet, NEW), SkipMatching=True, MinHealthyPercentage=50)
    fleet.until("Successful")
    assert set(images(fleet).values()) == {NEW}
    assert {one: len(states(fleet, one)) for one in done} == seen


def test_a_rollback_is_in_place_too(fleet: Fleet) -> None:
    """Back to the AMI that the group has saved, on the same instances."""
    create(fleet)
    before = set(fleet.ids())
    start(fleet, policy(fleet, NEW), CheckpointPercentages=[50, 100], CheckpointDelay=600, MinHealthyPercentage=50)
    fleet.advance(60)
    fleet.asg.rollback_instance_refresh(AutoScalingGroupName=GROUP)
    fleet.until("RollbackSuccessful")
    assert images(fleet) == dict.fromkeys(before, OLD)


def test_an_instance_that_does_not_come_back_is_replaced(told: Fleet) -> None:
    """A launch hook that is abandoned after the replacement ends the instance; a new one has the new AMI."""
    fleet = told
    create(fleet, 2, hooks=True)
    start(fleet, policy(fleet, NEW), MinHealthyPercentage=50)
    fleet.advance_until(lambda: bool(fleet.ids("Pending:Wait")))
    (broken,) = fleet.ids("Pending:Wait")
    fleet.asg.complete_lifecycle_action(
        AutoScalingGroupName=GROUP, LifecycleHookName="launch", InstanceId=broken, LifecycleActionResult="ABANDON"
    )
    fleet.until("Successful")
    assert broken not in fleet.ids()
    assert set(images(fleet).values()) == {NEW} and len(fleet.ids()) == 2


@pytest.mark.parametrize("reading", [True, False])
def test_what_the_metadata_say_before_both_readings(reading: bool) -> None:
    """Terminated, so that the worker drains and completes the hook; or nothing new, so that the hook runs out."""
    with Fleet(Rules(root_volume_target_is_terminated=reading)) as fleet:
        create(fleet, 1, hooks=True)
        start(fleet, policy(fleet, NEW), MinHealthyPercentage=0)
        fleet.advance_until(lambda: bool(fleet.ids("ReplacingRootVolume:Wait")))
        (one,) = fleet.ids("ReplacingRootVolume:Wait")
        assert fleet.world.target_lifecycle_state(one) == ("Terminated" if reading else "InService")
        fleet.advance(30)
        assert bool(fleet.ids("ReplacingRootVolume:Wait")) is not reading
        fleet.until("Successful")
