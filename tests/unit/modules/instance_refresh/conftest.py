# SPDX-License-Identifier: GPL-3.0-or-later
"""A group of simulated instances on virtual time, and the modules run through ``main`` with JSON."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime as dt
import json
import typing as t

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.run import refresh_group
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.wish import Wish
from ansible_collections.diffusion.fleet.plugins.modules import instance_refresh, instance_refresh_info
from local_aws.harness import Harness
from local_aws.settings import Rules, Settings

GROUP = "sd-inference-demo"
AMI = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id"


def version(number: int) -> dict[str, t.Any]:
    """A desired configuration, as the module takes it."""
    return {"launch_template": {"name": GROUP, "version": str(number)}}


@dataclasses.dataclass
class Account:
    """The harness as AWS, and as the clock of code that waits."""

    harness: Harness
    capsys: pytest.CaptureFixture[str]

    def client(self, service: str) -> t.Any:
        """A boto3 client."""
        return self.harness.client(service)

    def now(self) -> dt.datetime:
        """Virtual time."""
        return self.harness.clock.now()

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.harness.advance(seconds)

    def run(self, check: bool = False, diff: bool = False, info: bool = False, **options: t.Any) -> dict[str, t.Any]:
        """Run a module; the JSON it printed."""
        common = {
            "name": GROUP,
            "region": "us-east-1",
            "endpoint_url": self.harness.endpoint,
            "access_key": "local",
            "secret_key": "local",
            "_ansible_check_mode": check,
            "_ansible_diff": diff,
        }
        with patch_module_args({**common, **options}), pytest.raises(SystemExit):
            (instance_refresh_info if info else instance_refresh).main()
        return dict(json.loads(self.capsys.readouterr().out))

    def follow(self, context: dict[str, t.Any] | None = None, **options: t.Any) -> dict[str, t.Any]:
        """The use case below the module, waiting on virtual time."""
        wish = {
            "state": "started",
            "name": GROUP,
            "strategy": "Rolling",
            "preferences": {},
            "desired_configuration": {},
            "on_active": "fail",
            "wait_for_transitioning_instances": True,
            "wait": True,
            "wait_timeout": 3600,
            "poll_seconds": 10,
        }
        return refresh_group(self, Wish(**{**wish, **options}), self, check_mode=False, context=context)

    def group(self) -> dict[str, t.Any]:
        """The group as AWS describes it."""
        groups = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])
        return dict(groups["AutoScalingGroups"][0])

    def versions(self) -> list[str]:
        """The template versions of the instances in service."""
        rows = [row for row in self.group()["Instances"] if row["LifecycleState"] == "InService"]
        return sorted(row["LaunchTemplate"]["Version"] for row in rows)

    def statuses(self) -> list[str]:
        """The statuses of the group's refreshes, newest first."""
        rows = self.client("autoscaling").describe_instance_refreshes(AutoScalingGroupName=GROUP)["InstanceRefreshes"]
        return [row["Status"] for row in rows]


class Between(Account):
    """The same account, in which something happens once between the look of a run and its call of an operation."""

    def __init__(self, account: Account, operation: str, happens: t.Callable[[], object]) -> None:
        super().__init__(account.harness, account.capsys)
        self._autoscaling = boto3.client(
            "autoscaling",
            endpoint_url=self.harness.endpoint,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )
        self._happens: list[t.Callable[[], object]] = [happens]
        self._autoscaling.meta.events.register(f"before-call.autoscaling.{operation}", self._before)

    def client(self, service: str) -> t.Any:
        """A client whose call is preceded by what happens."""
        return self._autoscaling if service == "autoscaling" else super().client(service)

    def _before(self, **_unused: t.Any) -> None:
        while self._happens:
            self._happens.pop()()


def provision(harness: Harness) -> None:
    """A group of four on version 1 of a template that has three."""
    ec2, autoscaling = harness.client("ec2"), harness.client("autoscaling")
    image = harness.client("ssm").get_parameter(Name=AMI)["Parameter"]["Value"]
    data = {"ImageId": image, "InstanceType": "g4dn.xlarge"}
    ec2.create_launch_template(LaunchTemplateName=GROUP, LaunchTemplateData=data)
    for _unused in range(2):
        ec2.create_launch_template_version(LaunchTemplateName=GROUP, LaunchTemplateData=data)
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        LaunchTemplate={"LaunchTemplateName": GROUP, "Version": "1"},
        MinSize=0,
        MaxSize=8,
        DesiredCapacity=4,
        VPCZoneIdentifier=ec2.describe_subnets()["Subnets"][0]["SubnetId"],
        HealthCheckGracePeriod=0,
        DefaultInstanceWarmup=0,
    )


@pytest.fixture
def rules() -> Rules:
    """The readings of AWS's open rules; a test parametrizes them."""
    return Rules()


@pytest.fixture
def account(capsys: pytest.CaptureFixture[str], rules: Rules) -> collections.abc.Iterator[Account]:
    """The account with its group in service."""
    with Harness(settings=Settings(rules=rules)) as harness:
        provision(harness)
        account = Account(harness, capsys)
        harness.advance_until(lambda: account.versions() == ["1"] * 4)
        yield account
