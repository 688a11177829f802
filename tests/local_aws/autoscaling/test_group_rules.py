# SPDX-License-Identifier: Apache-2.0
"""The rules of groups, hooks, health, standby and scaling policies, one a test."""

from __future__ import annotations

import typing as t

import pytest
from botocore.exceptions import ClientError

from tests.support.scaling import GROUP, Fleet


def refused(code: str, text: str, call: t.Callable[[], object]) -> None:
    """The call fails with that code and a message that holds the text."""
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code
    assert text in caught.value.response["Error"]["Message"]


def test_create_twice_is_already_exists(fleet: Fleet) -> None:
    """A second group of the same name is refused."""
    fleet.create(1, settle=False)
    refused("AlreadyExists", "already exists", lambda: fleet.create(1))


def test_unknown_group_is_a_validation_error(fleet: Fleet) -> None:
    """Operations on no group answer 400."""
    refused(
        "ValidationError",
        "not found",
        lambda: fleet.asg.set_desired_capacity(AutoScalingGroupName="none", DesiredCapacity=1),
    )


def test_unknown_action_is_invalid_action(fleet: Fleet) -> None:
    """An operation that is not here answers 400 too."""
    fleet.create(0)
    refused("InvalidAction", "not implemented", lambda: fleet.asg.describe_traffic_sources(AutoScalingGroupName=GROUP))


def test_capacity_is_within_min_and_max(fleet: Fleet) -> None:
    """Desired capacity beyond the maximum is refused."""
    fleet.create(1, settle=False)
    refused(
        "ValidationError",
        "above max",
        lambda: fleet.asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=99),
    )
    refused(
        "ValidationError",
        "must be greater",
        lambda: fleet.asg.update_auto_scaling_group(AutoScalingGroupName=GROUP, MinSize=9, MaxSize=2),
    )


def test_delete_needs_force_while_instances_are_there(fleet: Fleet) -> None:
    """ResourceInUse without ForceDelete; with it the instances are terminated."""
    fleet.create(2)
    ids = fleet.ids()
    refused("ResourceInUse", "instances", lambda: fleet.asg.delete_auto_scaling_group(AutoScalingGroupName=GROUP))
    fleet.asg.delete_auto_scaling_group(AutoScalingGroupName=GROUP, ForceDelete=True)
    found = fleet.ec2.describe_instances(InstanceIds=ids)["Reservations"]
    assert {i["State"]["Name"] for r in found for i in r["Instances"]} == {"terminated"}


def test_instances_carry_what_their_template_version_says(fleet: Fleet) -> None:
    """Tags, metadata options and user data are those of the numbered version, spread over the subnets."""
    fleet.create(4, LaunchTemplate=fleet.version("2"))
    found = fleet.ec2.describe_instances(InstanceIds=fleet.ids())["Reservations"]
    instances = [i for r in found for i in r["Instances"]]
    tags = {tag["Key"]: tag["Value"] for tag in instances[0]["Tags"]}
    assert (tags["ImageVersion"], tags["aws:ec2launchtemplate:version"]) == ("1.1.0", "2")
    assert tags["aws:autoscaling:groupName"] == GROUP
    assert instances[0]["MetadataOptions"]["HttpTokens"] == "required"
    assert sorted(i["SubnetId"] for i in instances) == sorted(fleet.subnets * 2)


def test_latest_is_resolved_at_launch(fleet: Fleet) -> None:
    """$Latest means the newest version at the time of the launch; the instance reports its number."""
    fleet.create(1, LaunchTemplate=fleet.version("$Latest"))
    fleet.new_version("1.2.0")
    fleet.asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2)
    fleet.advance(5)
    assert sorted(i["LaunchTemplate"]["Version"] for i in fleet.instances()) == ["2", "3"]


def test_launch_hook_holds_the_instance(fleet: Fleet) -> None:
    """Pending:Wait until the hook is completed."""
    fleet.runner.boot_seconds = 10**6
    fleet.create(1, hooks=True)
    one = fleet.ids("Pending:Wait")
    assert len(one) == 1
    fleet.asg.complete_lifecycle_action(
        LifecycleHookName="launch", AutoScalingGroupName=GROUP, LifecycleActionResult="CONTINUE", InstanceId=one[0]
    )
    fleet.advance(1)
    assert fleet.ids() == one


def test_launch_hook_timeout_abandons(fleet: Fleet) -> None:
    """The default result ABANDON terminates the instance; the group launches another."""
    fleet.runner.boot_seconds = 10**6
    fleet.create(1, hooks=True)
    first = fleet.ids("Pending:Wait")
    fleet.advance(920, step=10)
    assert fleet.ids("Pending:Wait") and fleet.ids("Pending:Wait") != first


def test_heartbeat_extends_the_hook(fleet: Fleet) -> None:
    """A heartbeat starts the timeout anew."""
    fleet.runner.boot_seconds = 10**6
    fleet.create(1, hooks=True)
    one = fleet.ids("Pending:Wait")
    fleet.advance(800, step=10)
    fleet.asg.record_lifecycle_action_heartbeat(
        LifecycleHookName="launch", AutoScalingGroupName=GROUP, InstanceId=one[0]
    )
    fleet.advance(800, step=10)
    assert fleet.ids("Pending:Wait") == one


def test_termination_hook_holds_and_continues(fleet: Fleet) -> None:
    """Terminating:Wait for as long as the worker drains; metadata say Terminated."""
    fleet.runner.drain_seconds = 60
    fleet.create(1, hooks=True)
    one = fleet.ids()[0]
    fleet.asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=0)
    fleet.advance(30)
    assert fleet.ids("Terminating:Wait") == [one] and fleet.world.target_lifecycle_state(one) == "Terminated"
    fleet.advance(40)
    assert fleet.ids(None) == []


def test_a_host_without_its_worker_answers_the_termination_hook(fleet: Fleet) -> None:
    """A launch that the host gave up does not wait for a worker that is dead."""
    fleet.create(0, hooks=True)
    fleet.runner.failing.add("")
    fleet.asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=1)
    fleet.advance(5)
    one = fleet.ids(None)
    fleet.advance(40)
    assert len(one) == 1 and one[0] not in fleet.ids(None)


def test_a_host_that_loses_its_worker_while_it_terminates_answers_the_hook(fleet: Fleet) -> None:
    """The worker was to drain, and was given up instead."""
    fleet.runner.boot_seconds, fleet.runner.drain_seconds = 30, 10**6
    fleet.create(0, hooks=True)
    fleet.runner.failing.add("")
    fleet.asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=1)
    fleet.advance(5)
    fleet.asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=0)
    fleet.advance(10)
    assert len(fleet.ids("Terminating:Wait")) == 1
    fleet.advance(30)
    assert fleet.ids(None) == []


def test_hook_heartbeat_range(fleet: Fleet) -> None:
    """30 to 7200 seconds."""
    fleet.create(0)
    refused(
        "ValidationError",
        "between 30 and 7200",
        lambda: fleet.asg.put_lifecycle_hook(
            LifecycleHookName="h",
            AutoScalingGroupName=GROUP,
            HeartbeatTimeout=29,
            LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        ),
    )


@pytest.mark.parametrize("end", ["terminate_instances", "stop_instances"])
def test_instance_that_ec2_no_longer_runs_is_replaced(fleet: Fleet, end: str) -> None:
    """The group notices and launches another."""
    fleet.create(2)
    lost, kept = fleet.ids()
    getattr(fleet.ec2, end)(InstanceIds=[lost])
    fleet.advance(20)
    assert lost not in fleet.ids(None) and kept in fleet.ids() and len(fleet.ids()) == 2


def test_unhealthy_instance_is_replaced_whatever_its_protection(fleet: Fleet) -> None:
    """SetInstanceHealth Unhealthy ignores scale-in protection."""
    fleet.create(2, NewInstancesProtectedFromScaleIn=True)
    one = fleet.ids()[0]
    fleet.asg.set_instance_health(InstanceId=one, HealthStatus="Unhealthy")
    fleet.advance(20)
    assert one not in fleet.ids(None) and len(fleet.ids()) == 2


def test_grace_period_is_respected(fleet: Fleet) -> None:
    """Within the grace period a report is void unless it says otherwise."""
    fleet.create(1, HealthCheckGracePeriod=600)
    one = fleet.ids()[0]
    fleet.asg.set_instance_health(InstanceId=one, HealthStatus="Unhealthy")
    fleet.advance(5)
    assert fleet.ids() == [one]
    fleet.asg.set_instance_health(InstanceId=one, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
    fleet.advance(5)
    assert fleet.ids() != [one]


def test_protected_instances_survive_scale_in(fleet: Fleet) -> None:
    """Desired drops, the protected instance stays until it is unprotected."""
    fleet.create(2)
    keep = fleet.ids()[0]
    fleet.asg.set_instance_protection(InstanceIds=[keep], AutoScalingGroupName=GROUP, ProtectedFromScaleIn=True)
    fleet.asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=0)
    fleet.advance(20)
    assert fleet.ids() == [keep]


def test_protection_takes_fifty_ids(fleet: Fleet) -> None:
    """More than 50 ids are refused."""
    fleet.create(0)
    refused(
        "ValidationError",
        "50",
        lambda: fleet.asg.set_instance_protection(
            InstanceIds=[f"i-{n:017x}" for n in range(51)], AutoScalingGroupName=GROUP, ProtectedFromScaleIn=True
        ),
    )


def test_insufficient_capacity_is_a_failed_activity_and_retried(fleet: Fleet) -> None:
    """The activity says why, and a later try works."""
    fleet.world.faults.replace([{"kind": "insufficient_capacity", "times": 1}])
    fleet.create(1, settle=False)
    fleet.advance(2)
    activity = fleet.asg.describe_scaling_activities(AutoScalingGroupName=GROUP)["Activities"][0]
    assert activity["StatusCode"] == "Failed" and "sufficient g4dn.xlarge capacity" in activity["StatusMessage"]
    fleet.advance(30)
    assert len(fleet.ids()) == 1


def test_suspended_launch_is_honoured(fleet: Fleet) -> None:
    """No launches while Launch is suspended."""
    fleet.create(0)
    fleet.asg.suspend_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["Launch"])
    fleet.asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2)
    fleet.advance(20)
    assert fleet.ids(None) == []
    fleet.asg.resume_processes(AutoScalingGroupName=GROUP)
    fleet.advance(20)
    assert len(fleet.ids()) == 2


def test_standby_and_back(fleet: Fleet) -> None:
    """Standby lowers the desired capacity, leaving it raises it."""
    fleet.create(2)
    one = fleet.ids()[0]
    fleet.asg.enter_standby(InstanceIds=[one], AutoScalingGroupName=GROUP, ShouldDecrementDesiredCapacity=True)
    fleet.advance(3)
    assert fleet.ids("Standby") == [one] and fleet.group()["DesiredCapacity"] == 1
    fleet.asg.exit_standby(InstanceIds=[one], AutoScalingGroupName=GROUP)
    fleet.advance(3)
    assert len(fleet.ids()) == 2 and fleet.group()["DesiredCapacity"] == 2


def tiers(fleet: Fleet, **more: t.Any) -> str:
    """The four-tier step policy; its ARN."""
    steps = [
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 40, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 40, "MetricIntervalUpperBound": 91, "ScalingAdjustment": 2},
        {"MetricIntervalLowerBound": 91, "ScalingAdjustment": 3},
    ]
    reply = fleet.asg.put_scaling_policy(
        **{
            "AutoScalingGroupName": GROUP,
            "PolicyName": "out",
            "PolicyType": "StepScaling",
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": steps,
            "EstimatedInstanceWarmup": 60,
        }
        | more
    )
    return str(reply["PolicyARN"])


@pytest.mark.parametrize(("depth", "desired"), [(9, 1), (10, 2), (49, 2), (50, 3), (100, 3), (101, 4)])
def test_steps_are_relative_to_the_threshold(fleet: Fleet, depth: int, desired: int) -> None:
    """Lower bound inclusive, upper exclusive: 10 to 49, 50 to 100, above 100."""
    fleet.create(1, MaxSize=10)
    fleet.world.execute_policy(tiers(fleet), depth, 10)
    assert fleet.group()["DesiredCapacity"] == desired


def test_warming_instances_count_towards_a_step(fleet: Fleet) -> None:
    """The same breach again adds nothing while the instances warm up; a larger one adds the difference."""
    fleet.create(1, MaxSize=10)
    arn = tiers(fleet)
    fleet.world.execute_policy(arn, 20, 10)
    fleet.advance(10)
    fleet.world.execute_policy(arn, 20, 10)
    assert fleet.group()["DesiredCapacity"] == 2
    fleet.world.execute_policy(arn, 60, 10)
    assert fleet.group()["DesiredCapacity"] == 3


def test_simple_policy_has_a_cooldown(fleet: Fleet) -> None:
    """A second execution within the cooldown is ScalingActivityInProgress."""
    fleet.create(1, MaxSize=5)
    fleet.asg.put_scaling_policy(
        AutoScalingGroupName=GROUP,
        PolicyName="one",
        AdjustmentType="ChangeInCapacity",
        ScalingAdjustment=1,
        Cooldown=60,
    )
    execute = {"AutoScalingGroupName": GROUP, "PolicyName": "one", "HonorCooldown": True}
    fleet.asg.execute_policy(**execute)
    refused("ScalingActivityInProgress", "cooldown", lambda: fleet.asg.execute_policy(**execute))


def test_metrics_need_their_collection(fleet: Fleet) -> None:
    """Group metrics exist only while they are collected."""
    fleet.create(2)
    where = ("123456789012", "us-east-1", GROUP)
    assert fleet.world.group_metrics(*where) is None
    fleet.asg.enable_metrics_collection(AutoScalingGroupName=GROUP, Granularity="1Minute")
    assert (fleet.world.group_metrics(*where) or {})["GroupInServiceInstances"] == 2


def test_update_keeps_what_it_does_not_name(fleet: Fleet) -> None:
    """A mixed instances policy survives an update of the size, and its overrides choose the type."""
    spec = {"LaunchTemplateSpecification": fleet.version("1"), "Overrides": [{"InstanceType": "g5.xlarge"}]}
    base = {
        "AutoScalingGroupName": GROUP,
        "MinSize": 0,
        "MaxSize": 2,
        "DesiredCapacity": 1,
        "VPCZoneIdentifier": ",".join(fleet.subnets),
    }
    fleet.asg.create_auto_scaling_group(**base, MixedInstancesPolicy={"LaunchTemplate": spec})
    fleet.asg.update_auto_scaling_group(AutoScalingGroupName=GROUP, MaxSize=3)
    fleet.advance(5)
    assert fleet.group()["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"] == [{"InstanceType": "g5.xlarge"}]
    assert fleet.instances()[0]["InstanceType"] == "g5.xlarge"


def test_timeline_names_release_and_version(fleet: Fleet) -> None:
    """Entries of instances carry image version, release and template version."""
    fleet.create(1)
    entry = next(e for e in fleet.world.timeline.entries if e["lifecycle" if e["instance"] else "event"] == "InService")
    assert (entry["image_version"], entry["release_id"], entry["template_version"]) == ("1.0.0", "release-1.0.0", "1")


def test_weights_are_refused_rather_than_ignored(fleet: Fleet) -> None:
    """A group whose instances count for more than one would behave otherwise here than on AWS."""
    override = {"InstanceType": "g4dn.xlarge", "WeightedCapacity": "2"}
    launch = {"LaunchTemplateSpecification": fleet.version("1"), "Overrides": [override]}
    with pytest.raises(ClientError) as caught:
        fleet.create(1, LaunchTemplate={}, MixedInstancesPolicy={"LaunchTemplate": launch})
    assert "weights" in caught.value.response["Error"]["Message"]
