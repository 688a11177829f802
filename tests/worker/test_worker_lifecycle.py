# SPDX-License-Identifier: Apache-2.0
"""The worker on an instance of a real group in local_aws: its hooks, its protection, its end."""

from __future__ import annotations

import json
import typing as t

import pytest

from tests.worker.harness import Deployment, StartWorker, get, until

HOOK_SECONDS = 60


class Group:
    """A group of one instance that waits for its launch hook."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.name = f"sd-inference-{deployment.name}"
        ec2, autoscaling = deployment.ec2, deployment.autoscaling
        image = ec2.describe_images()["Images"][0]["ImageId"]
        deployment.iam.create_role(RoleName=self.name, AssumeRolePolicyDocument="{}")
        deployment.iam.create_instance_profile(InstanceProfileName=self.name)
        deployment.iam.add_role_to_instance_profile(InstanceProfileName=self.name, RoleName=self.name)
        ec2.create_launch_template(
            LaunchTemplateName=self.name,
            LaunchTemplateData={
                "ImageId": image,
                "InstanceType": "g4dn.xlarge",
                "IamInstanceProfile": {"Name": self.name},
            },
        )
        hooks = [
            {
                "LifecycleHookName": name,
                "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{transition}",
                "HeartbeatTimeout": HOOK_SECONDS,
                "DefaultResult": default,
            }
            for name, transition, default in (
                ("launch", "LAUNCHING", "ABANDON"),
                ("terminate", "TERMINATING", "CONTINUE"),
            )
        ]
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=self.name,
            MinSize=0,
            MaxSize=1,
            DesiredCapacity=1,
            AvailabilityZones=["us-east-1a"],
            LaunchTemplate={"LaunchTemplateName": self.name, "Version": "1"},
            LifecycleHookSpecificationList=hooks,
        )
        self.instance_id = str(until(lambda: self.instance().get("InstanceId")))
        self.until("Pending:Wait")

    def instance(self) -> dict[str, t.Any]:
        """The group's instance as the API shows it; empty when there is none."""
        groups = self._deployment.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])
        instances = groups["AutoScalingGroups"][0]["Instances"]
        return instances[0] if instances else {}

    def states(self) -> list[str]:
        """Every lifecycle state of the instance so far, those that lasted a moment included."""
        entries = json.loads(get(f"{self._deployment.endpoint}/_local/timeline")[1])
        return [entry["lifecycle"] for entry in entries if entry["instance"] == self.instance_id]

    def until(self, state: str) -> None:
        """Wait until the instance has been in this lifecycle state."""
        until(lambda: state in self.states(), 40)

    def gone(self) -> bool:
        """Whether the instance has left the group."""
        return self.instance().get("InstanceId") != self.instance_id

    def environment(self) -> dict[str, str]:
        """What a worker on this instance is told."""
        return {
            "SD_GROUP": self.name,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{self._deployment.endpoint}/imds/{self.instance_id}",
        }

    def terminate(self) -> None:
        """Take the instance out of the group."""
        self._deployment.autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=self.instance_id, ShouldDecrementDesiredCapacity=True
        )


@pytest.fixture
def group(deployment: Deployment) -> t.Iterator[Group]:
    made = Group(deployment)
    yield made
    deployment.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=made.name, ForceDelete=True)


def test_an_instance_is_in_service_only_after_the_worker_has_drawn(group: Group, start: StartWorker) -> None:
    worker = start(group.environment()).until_ready()
    group.until("InService")
    assert worker.said("lifecycle hook completed")[0]["result"] == "CONTINUE"


def test_a_worker_that_cannot_draw_abandons_its_launch(group: Group, start: StartWorker) -> None:
    broken = {**group.environment(), "SD_ENGINE": "diffusers", "SD_MODEL": "/nonexistent"}
    worker = start(broken)
    assert worker.process.wait(60) == 1
    assert worker.said("lifecycle hook completed")[0]["result"] == "ABANDON"
    # It may end before the instance is known to go: the host starts it again, and the next one finds out.
    again = 0
    while not group.gone() and again < 3:
        start(broken).process.wait(60)
        again += 1
    until(group.gone, 40)
    assert "Terminating:Wait" in group.states() and "InService" not in group.states()


def test_a_terminated_instance_finishes_its_job_then_goes(
    deployment: Deployment,
    group: Group,
    start: StartWorker,
) -> None:
    worker = start({**group.environment(), "SD_NOOP_MS": "4000"}).until_ready()
    group.until("InService")
    deployment.send({"id": "last", "api": "/sdapi/v1/txt2img", "payload": {"prompt": "x", "steps": 20}})
    worker.until_drawing()
    group.terminate()
    until(lambda: "draining" in worker.states())
    group.until("Terminating:Wait")
    assert worker.process.wait(90) == 0
    assert deployment.wait("last", 1)["status"] == "succeeded"
    until(group.gone, 40)


def test_a_busy_instance_is_protected_until_it_is_idle(
    deployment: Deployment,
    group: Group,
    start: StartWorker,
) -> None:
    start({**group.environment(), "SD_NOOP_MS": "5000"}).until_ready()
    group.until("InService")
    deployment.send({"id": "busy", "api": "/sdapi/v1/txt2img", "payload": {"prompt": "x", "steps": 20}})
    until(lambda: group.instance()["ProtectedFromScaleIn"])
    until(lambda: not group.instance()["ProtectedFromScaleIn"])
    assert deployment.wait("busy", 1)["status"] == "succeeded"
