# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups that somebody has set up otherwise, what dies beside a release, and answers of AWS that are not usual."""

from __future__ import annotations

import contextlib
import datetime as dt
import typing as t

import pytest
from botocore.awsrequest import AWSResponse

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError, InvalidInput
from local_aws.harness import Harness
from tests.support.fleet import Fleet, make_fleet

OTHER = "somebody-elses"
Change = t.Callable[[Fleet], None]


@pytest.fixture
def two(harness: Harness) -> Fleet:
    """A fleet of 2 that runs 1.0.0, with 1.1.0 pushed."""
    return make_fleet(harness, 2)


def update(fleet: Fleet, **settings: t.Any) -> None:
    """Change the group as somebody would by hand."""
    fleet.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=fleet.names.group, **settings)


def stable_template(fleet: Fleet) -> dict[str, str]:
    """What the stable release is launched from."""
    stable = fleet.ledger.stable
    version = stable.template_version if stable else None
    return {"LaunchTemplateName": fleet.names.group, "Version": version or "1"}


def mix(*overrides: dict[str, t.Any]) -> Change:
    """Give the group a mixed instances policy on the stable template."""

    def change(fleet: Fleet) -> None:
        launch = {"LaunchTemplateSpecification": stable_template(fleet), "Overrides": list(overrides)}
        update(fleet, MixedInstancesPolicy={"LaunchTemplate": launch})

    return change


def other_template(fleet: Fleet) -> dict[str, str]:
    """A template of somebody else's with as many versions as ours."""
    if OTHER in [
        row["LaunchTemplateName"] for row in fleet.client("ec2").describe_launch_templates()["LaunchTemplates"]
    ]:
        return {"LaunchTemplateName": OTHER, "Version": stable_template(fleet)["Version"]}
    ec2, data = fleet.client("ec2"), {"ImageId": "ami-0123456789abcdef0", "InstanceType": "g4dn.xlarge"}
    ec2.create_launch_template(LaunchTemplateName=OTHER, LaunchTemplateData=data)
    for _unused in range(3):
        ec2.create_launch_template_version(LaunchTemplateName=OTHER, LaunchTemplateData=data)
    return {"LaunchTemplateName": OTHER, "Version": stable_template(fleet)["Version"]}


def with_own_template(fleet: Fleet) -> None:
    """One override launches from another template, under the number of ours."""
    override = {"InstanceType": "g4dn.xlarge", "LaunchTemplateSpecification": other_template(fleet)}
    mix(override)(fleet)


def on_another_template(fleet: Fleet) -> None:
    """The whole group does."""
    update(fleet, LaunchTemplate=other_template(fleet))


def maintained(fleet: Fleet) -> None:
    """The group may double while it is maintained."""
    update(fleet, InstanceMaintenancePolicy={"MinHealthyPercentage": 100, "MaxHealthyPercentage": 200})


REFUSED: tuple[tuple[Change, dict[str, t.Any], str], ...] = (
    (with_own_template, {}, r"Overrides\[0\]\.LaunchTemplateSpecification=somebody-elses .* Take the field out"),
    (on_another_template, {}, r"uses launch template somebody-elses; .* Set the group to version 2 of launch"),
    (mix({"InstanceType": "g4dn.xlarge", "ImageId": "ami-0aa"}), {}, r"Overrides\[0\]\.ImageId=ami-0aa .* wins"),
    (mix({"InstanceRequirements": {"VCpuCount": {"Min": 4}, "MemoryMiB": {"Min": 1}}}), {}, "InstanceRequirements"),
    (maintained, {"surge": False}, r"surge=false, but InstanceMaintenancePolicy\.MaxHealthyPercentage=200"),
)


def test_a_group_that_cannot_be_released_to_is_refused_before_anything_changes(two: Fleet) -> None:
    for change, wish, sentence in REFUSED:
        update(two, LaunchTemplate=stable_template(two))
        change(two)
        before = (two.ledger, two.group())
        with pytest.raises(InvalidInput, match=sentence):
            two.release(version="1.1.0", percentage="100", **wish)
        with pytest.raises(InvalidInput, match=sentence):
            two.predict(version="1.1.0", percentage="100", **wish)
        assert (two.ledger, two.group(), two.locks()) == (*before, [])


def test_a_plain_mixed_policy_and_a_maintained_group_are_released_to(two: Fleet) -> None:
    mix({"InstanceType": "g4dn.xlarge"}, {"InstanceType": "g5.xlarge"})(two)
    maintained(two)
    assert two.release(version="1.1.0", percentage="100")["outcome"] == "succeeded"
    assert two.versions() == ["1.1.0"] * 2


def test_a_rollback_to_before_is_refused_where_an_override_has_its_own_template(two: Fleet) -> None:
    two.release(version="1.1.0", percentage="100")
    with_own_template(two)
    with pytest.raises(InvalidInput, match=r"LaunchTemplateSpecification=somebody-elses"):
        two.release(state="rolled_back")
    assert two.parameter("deployment-status") == "stable"
    assert two.versions() == ["1.1.0"] * 2


def test_an_override_with_its_own_template_in_the_middle_ends_no_instance_on_the_way_back(two: Fleet) -> None:
    two.start(lambda line: "reached, judging" in line, version="1.1.0", steps=["50", "100"])
    two.client("autoscaling").cancel_instance_refresh(AutoScalingGroupName=two.names.group)
    two.sleep(30)
    with_own_template(two)
    before = {row["InstanceId"] for row in two.group()["Instances"]}
    with pytest.raises(InvalidInput, match=r"LaunchTemplateSpecification=somebody-elses"):
        two.release(state="rolled_back")
    assert {row["InstanceId"] for row in two.group()["Instances"]} == before
    assert (two.parameter("deployment-status"), two.locks()) == ("rolling-back", [])

    update(two, LaunchTemplate=stable_template(two))
    two.release(state="rolled_back")
    assert two.versions() == ["1.0.0"] * 2


def test_an_instance_of_another_template_with_the_same_number_is_replaced(two: Fleet) -> None:
    on_another_template(two)
    autoscaling, doomed = two.client("autoscaling"), two.group()["Instances"][0]["InstanceId"]
    autoscaling.terminate_instance_in_auto_scaling_group(InstanceId=doomed, ShouldDecrementDesiredCapacity=False)
    two.sleep(30)
    update(two, LaunchTemplate=stable_template(two))
    rows = [row["LaunchTemplate"] for row in two.group()["Instances"]]
    assert {row["LaunchTemplateName"] for row in rows} == {two.names.group, OTHER}
    assert len({row["Version"] for row in rows}) == 1

    assert two.release(version="1.0.0", percentage="100")["outcome"] == "succeeded"
    assert two.versions() == ["1.0.0"] * 2


def serving(fleet: Fleet, version: str) -> list[str]:
    """Instances in service with that version."""
    rows = [row["InstanceId"] for row in fleet.group()["Instances"] if row["LifecycleState"] == "InService"]
    return [instance for instance in rows if fleet.release_of(instance)["ImageVersion"] == version]


def lose(fleet: Fleet, end: t.Callable[[str], t.Any], times: int = 2, apart: float = 0) -> dict[str, t.Any]:
    """Release 1.1.0 while its instances in service end, one after the other, so many seconds apart."""
    last = fleet.now() - dt.timedelta(seconds=apart)
    params = fleet.params(version="1.1.0", steps=["50", "100"])
    for _unused in range(200):
        result = fleet.call(params)
        params["context"] = result["context"]
        if result["done"]:
            return result
        for instance in serving(fleet, "1.1.0")[: min(times, (fleet.now() - last).total_seconds() >= apart)]:
            end(instance)
            times, last = times - 1, fleet.now()
        fleet.sleep(fleet.timing["poll"])
    raise TimeoutError(result["lines"][-1])


def test_candidates_that_are_lost_from_outside_are_not_held_against_the_release(two: Fleet) -> None:
    ec2 = two.client("ec2")
    ways, lost = iter((ec2.terminate_instances, ec2.stop_instances)), set[str]()

    def end(instance: str) -> None:
        next(ways)(InstanceIds=[instance])
        lost.add(instance)

    assert lose(two, end)["outcome"] == "succeeded"
    assert two.versions() == ["1.1.0"] * 2
    assert len(lost) == 2 and not lost & {row["InstanceId"] for row in two.group()["Instances"]}


@pytest.mark.parametrize("apart", [0, 150])
def test_candidates_that_are_reported_unhealthy_end_the_release(two: Fleet, apart: float) -> None:
    autoscaling = two.client("autoscaling")

    def report(instance: str) -> None:
        autoscaling.set_instance_health(InstanceId=instance, HealthStatus="Unhealthy")

    with pytest.raises(FleetError, match="2 instances of the candidate did not come into service, or were reported"):
        lose(two, report, apart=apart)
    assert two.versions() == ["1.0.0"] * 2


def test_activities_that_are_over_are_not_read_at_each_look(fleet: Fleet) -> None:
    read: list[int] = []

    def count(parsed: dict[str, t.Any], **_unused: t.Any) -> None:
        read.append(len(parsed["Activities"]))

    with handled(fleet.client("autoscaling"), "after-call.auto-scaling.DescribeScalingActivities", count):
        fleet.release(version="1.1.0", percentage="20")
    pages = fleet.client("autoscaling").get_paginator("describe_scaling_activities")
    there = sum(len(page["Activities"]) for page in pages.paginate(AutoScalingGroupName=fleet.names.group))
    assert len(read) > 20
    assert max(read[1:]) <= 10 < there


@contextlib.contextmanager
def handled(client: t.Any, event: str, handler: t.Callable[..., t.Any]) -> t.Iterator[None]:
    """A handler of botocore's, as long as the block goes on: the client is not ours alone."""
    client.meta.events.register(event, handler)
    try:
        yield
    finally:
        client.meta.events.unregister(event, handler)


def test_contention_over_the_group_is_borne(two: Fleet) -> None:
    left = [2]

    def contend(**_unused: t.Any) -> tuple[t.Any, dict[str, t.Any]] | None:
        left[0] -= 1
        error = {"Error": {"Code": "ResourceContention", "Message": "there is a pending update"}}
        return (AWSResponse("", 400, {}, None), error) if left[0] >= 0 else None

    with handled(two.client("autoscaling"), "before-call.auto-scaling.StartInstanceRefresh", contend):
        assert two.release(version="1.1.0", percentage="100")["outcome"] == "succeeded"
    assert left[0] == -1


def test_a_status_that_aws_adds_is_waited_out(two: Fleet) -> None:
    left = [3]

    def rename(parsed: dict[str, t.Any], **_unused: t.Any) -> None:
        for row in parsed.get("InstanceRefreshes", ()):
            if row["Status"] == "InProgress" and left[0]:
                row["Status"], left[0] = "Rethinking", left[0] - 1

    with handled(two.client("autoscaling"), "after-call.auto-scaling.DescribeInstanceRefreshes", rename):
        result = two.release(version="1.1.0", steps=["50", "100"])
    assert (result["outcome"], left[0]) == ("succeeded", 0)
    assert any("instance refresh Rethinking" in line for line in result["lines"])
