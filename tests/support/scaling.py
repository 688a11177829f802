# SPDX-License-Identifier: Apache-2.0
"""An Auto Scaling group on virtual time, and what tests do with it."""

from __future__ import annotations

import typing as t

from local_aws.harness import Harness
from local_aws.runner.simulated import SimulatedRunner
from local_aws.settings import Rules, Settings
from local_aws.world import AlarmState

LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
GROUP = "sd"


class Fleet(Harness):
    """A harness with a network, a launch template of two versions and short names for what tests do."""

    def __init__(self, rules: Rules | None = None, speed: float = 1.0, boot: float = 10.0, drain: float = 5.0) -> None:
        super().__init__(SimulatedRunner(boot, drain), Settings(speed=speed, rules=rules or Rules()))
        self.alarms: dict[str, AlarmState] = {}
        self.world.alarm_source = lambda _account, _region, name: self.alarms.get(name)

    def __enter__(self) -> Fleet:
        super().__enter__()
        self.asg, self.ec2 = self.client("autoscaling"), self.client("ec2")
        vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            self.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"us-east-1{zone}")[
                "Subnet"
            ]["SubnetId"]
            for n, zone in enumerate("ab")
        ]
        self.template = self.ec2.create_launch_template(
            LaunchTemplateName="sd", LaunchTemplateData=template_data("1.0.0")
        )["LaunchTemplate"]["LaunchTemplateId"]
        self.new_version("1.1.0")
        return self

    def new_version(self, version: str, **data: t.Any) -> str:
        """Add a numbered version of the template."""
        reply = self.ec2.create_launch_template_version(
            LaunchTemplateId=self.template, LaunchTemplateData=template_data(version) | data
        )
        return str(reply["LaunchTemplateVersion"]["VersionNumber"])

    def create(self, desired: int = 5, hooks: bool = False, settle: bool = True, **more: t.Any) -> None:
        """Create the group on version 1 and wait until it serves."""
        specs = [
            {"LifecycleHookName": "launch", "LifecycleTransition": LAUNCHING, "HeartbeatTimeout": 900},
            {
                "LifecycleHookName": "terminate",
                "LifecycleTransition": TERMINATING,
                "HeartbeatTimeout": 300,
                "DefaultResult": "CONTINUE",
            },
        ]
        self.asg.create_auto_scaling_group(
            **{
                "AutoScalingGroupName": GROUP,
                "MinSize": 0,
                "MaxSize": 2 * desired + 4,
                "DesiredCapacity": desired,
                "VPCZoneIdentifier": ",".join(self.subnets),
                "LaunchTemplate": self.version("1"),
                "LifecycleHookSpecificationList": specs if hooks else [],
            }
            | more
        )
        if settle:
            self.advance(20)

    def version(self, number: str) -> dict[str, str]:
        """A launch template specification."""
        return {"LaunchTemplateId": self.template, "Version": number}

    def group(self) -> dict[str, t.Any]:
        """The group as it is described."""
        found: dict[str, t.Any] = self.asg.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])[
            "AutoScalingGroups"
        ][0]
        return found

    def instances(self, state: str | None = "InService", version: str | None = None) -> list[dict[str, t.Any]]:
        """The instances in a state and of a template version."""
        return [
            i
            for i in self.group()["Instances"]
            if state in (None, i["LifecycleState"]) and version in (None, i["LaunchTemplate"]["Version"])
        ]

    def ids(self, state: str | None = "InService", version: str | None = None) -> list[str]:
        """Their ids."""
        return [i["InstanceId"] for i in self.instances(state, version)]

    def start(self, number: str | None = "2", **preferences: t.Any) -> str:
        """Start a refresh to a version; no warm-up unless asked for."""
        desired = {"DesiredConfiguration": {"LaunchTemplate": self.version(number)}} if number else {}
        reply = self.asg.start_instance_refresh(
            AutoScalingGroupName=GROUP, Preferences={"InstanceWarmup": 0} | preferences, **desired
        )
        return str(reply["InstanceRefreshId"])

    def refresh(self) -> dict[str, t.Any]:
        """The newest refresh."""
        found: dict[str, t.Any] = self.asg.describe_instance_refreshes(AutoScalingGroupName=GROUP)["InstanceRefreshes"][
            0
        ]
        return found

    def until(self, *statuses: str, limit: float = 7200) -> dict[str, t.Any]:
        """Let time pass until the refresh has one of these statuses."""
        self.advance_until(lambda: self.world_refresh().status in statuses, limit)
        return self.refresh()

    def world_refresh(self) -> t.Any:
        """The newest refresh, without a call."""
        return next(iter(self.world.groups.values())).refreshes[0]

    def serving(self) -> int:
        """How many instances are in service, without a call."""
        group = next(iter(self.world.groups.values()))
        return sum(m.state == "InService" for m in group.members.values())

    def lowest(self, seconds: float) -> int:
        """The fewest in service over some time."""
        least = self.serving()
        for _unused in range(int(seconds)):
            self.advance(1)
            least = min(least, self.serving())
        return least

    def alarm(self, name: str, state: AlarmState) -> None:
        """Put an alarm in a state."""
        self.alarms[name] = state


def template_data(version: str) -> dict[str, t.Any]:
    """Launch template data of an image version."""
    tags = [{"Key": "ImageVersion", "Value": version}, {"Key": "ReleaseId", "Value": f"release-{version}"}]
    return {
        "ImageId": "ami-12345678",
        "InstanceType": "g4dn.xlarge",
        "UserData": "I2Nsb3VkLWNvbmZpZwo=",
        "TagSpecifications": [{"ResourceType": "instance", "Tags": tags}],
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
    }
