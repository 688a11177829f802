# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet as the scripts before this collection left it: three parameters, a group on ``$Latest``, tags that move.

Its hosts ask the parameter at boot which version to run, so the launch template says nothing about it.
"""

from __future__ import annotations

import base64
import json
import typing as t

from local_aws.harness import Harness
from local_aws.runner.base import Instance
from local_aws.runner.simulated import SimulatedRunner
from scripts.rehearsal.group import base_image, put_hooks
from tests.support.fleet import ACCOUNT, Fleet

USER_DATA = """#!/bin/bash
VERSION=$(aws ssm get-parameter --name /sd-inference/demo/image-version --query Parameter.Value --output text)
docker run -d --restart always $REPOSITORY/sd-inference-demo:$VERSION
"""
FIRST_VALUES = {"image-version": "1.0.0", "previous-version": "1.0.0", "deployment-status": "stable"}
HOOK_SECONDS = 60
"""How long hosts that know nothing of the hooks are waited for; the playbook's 900 s would only take longer."""


class OlderHosts(SimulatedRunner):
    """Hosts of the scripts answer no hook; those of this collection do."""

    def boot(self, instance: Instance) -> None:
        """Power on."""
        if not instance.user_data.startswith("#!"):
            super().boot(instance)


def make_harness() -> Harness:
    """A harness with hosts of both kinds."""
    return Harness(runner=OlderHosts(boot_seconds=5, drain_seconds=1), direct=True)


class Predecessor(Fleet):
    """Two instances that run 1.0.0; everything that provision.yml adds comes with ``provision``."""

    def __init__(self, harness: Harness, saved: str = "$Latest", size: int = 2) -> None:
        self.saved = saved
        super().__init__(harness, size)

    def provision(self) -> None:
        """What provision.yml makes beside a fleet that is there."""
        names = self.names
        self.client("s3").create_bucket(Bucket=names.bucket(ACCOUNT))
        self.client("logs").create_log_group(logGroupName=names.log_group)
        self.client("sns").create_topic(Name=f"sd-releases-{names.deployment_id}")
        data = {"ImageId": base_image(self.client), "InstanceType": "g4dn.xlarge"}
        host = {"schema": 1, "launch_template_data": data, "worker_env": {"SD_ENGINE": "noop"}}
        self.client("ssm").put_parameter(Name=names.host, Value=json.dumps(host), Type="String")
        autoscaling = self.client("autoscaling")
        autoscaling.update_auto_scaling_group(AutoScalingGroupName=names.group, HealthCheckGracePeriod=0)
        put_hooks(autoscaling, names.group, HeartbeatTimeout=HOOK_SECONDS, DefaultResult="CONTINUE")

    def script_deploys(self, version: str) -> None:
        """What deploy-new-version.sh does without --wait: the status stays in-progress for ever."""
        self.write("previous-version", self.parameter("image-version"))
        self.write("image-version", version)
        self.write("deployment-status", "in-progress")
        preferences = {"MinHealthyPercentage": 90, "InstanceWarmup": 0}
        self.client("autoscaling").start_instance_refresh(
            AutoScalingGroupName=self.names.group, Preferences=preferences
        )

    def write(self, name: str, value: str) -> None:
        """Write a plain parameter."""
        self.client("ssm").put_parameter(Name=f"{self.names.root}/{name}", Value=value, Type="String", Overwrite=True)

    def asks_at_boot(self) -> dict[str, str]:
        """What each instance in service runs: the version that the parameter had when it was launched."""
        history = self.client("ssm").get_parameter_history(Name=self.names.image_version)["Parameters"]
        rows = self.client("ec2").describe_instances()["Reservations"]
        launched = {row["InstanceId"]: row["LaunchTime"] for found in rows for row in found["Instances"]}
        serving = [row["InstanceId"] for row in self.group()["Instances"] if row["LifecycleState"] == "InService"]
        return {
            instance: next(row["Value"] for row in reversed(history) if row["LastModifiedDate"] <= launched[instance])
            for instance in serving
        }

    def template(self, **data: t.Any) -> dict[str, t.Any]:
        """Launch template data of the scripts."""
        user_data = base64.b64encode(USER_DATA.encode()).decode()
        return {"ImageId": base_image(self.client), "InstanceType": "g4dn.xlarge", "UserData": user_data, **data}

    def _provision(self) -> None:
        names, ec2 = self.names, self.client("ec2")
        self.client("ecr").create_repository(repositoryName=names.group)
        self.client("sqs").create_queue(QueueName=f"sd-task-queue-{names.deployment_id}")
        for name, value in {
            "image-version": "1.0.0",
            "previous-version": "1.0.0",
            "deployment-status": "stable",
        }.items():
            self.write(name, value)
        ec2.create_launch_template(LaunchTemplateName=names.group, LaunchTemplateData=self.template())
        ec2.create_launch_template_version(
            LaunchTemplateName=names.group, LaunchTemplateData=self.template(EbsOptimized=True)
        )
        self.build("1.0.0")
        self.sleep(60)
        self.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=names.group,
            LaunchTemplate={"LaunchTemplateName": names.group, "Version": self.saved},
            MinSize=1,
            MaxSize=10,
            DesiredCapacity=self.size,
            VPCZoneIdentifier=ec2.describe_subnets()["Subnets"][0]["SubnetId"],
            HealthCheckGracePeriod=300,
        )
        self.sleep(60)
