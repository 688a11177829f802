# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment whose instances are machines of a site: what provision.yml and a release leave, made in boto3 calls.

The launch template is the collection's own, user data included.
"""

from __future__ import annotations

import base64
import dataclasses
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._release import templates
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from scripts.rehearsal.account import Account
from scripts.rehearsal.group import base_image, create_group
from scripts.rehearsal.images import Build, docker

from .site import Site
from .waiting import until
from .wheels import pip_configuration

SHORT_WAITS = {"SD_HOOK_POLL_SECONDS": "1", "SD_STATUS_SECONDS": "2", "SD_WAIT_SECONDS": "2", "SD_TORCH_THREADS": "1"}
NOOP = {"SD_ENGINE": "noop"}
DIGITS = {"SD_ENGINE": "diffusers", "SD_MODEL": "/models/digits"}
LAUNCH_SECONDS = 30
MOST_INSTANCES = 100


@dataclasses.dataclass(frozen=True)
class Instance:
    """An instance of the group, which waits for a machine to boot as it."""

    site: Site
    instance_id: str


class Deployment:
    """A deployment of a site."""

    def __init__(self, site: Site, deployment_id: str) -> None:
        self.site = site
        self.names = Names(deployment_id)
        self.account = Account(site.endpoint, deployment_id)
        """What the workers were asked, answered and logged."""

    def create(self, image: str, *, version: str = "1.0.0", **worker_env: str) -> None:
        """Everything but the image's repository, which ``push`` makes; the group is empty."""
        names, client = self.names, self.account.client
        client("s3").create_bucket(Bucket=self.account.bucket)
        for queue in (names.task_queue, names.dead_letter_queue):
            client("sqs").create_queue(QueueName=queue)
        topic = client("sns").create_topic(Name=f"sd-results-{names.deployment_id}")["TopicArn"]
        client("logs").create_log_group(logGroupName=names.log_group)
        client("ssm").put_parameter(Name=f"{names.root}/deployment-status", Value="stable", Type="String")
        self._role()
        self._template(image, version, {"SD_RESULTS_TOPIC_ARN": topic, **worker_env})
        create_group(client, names.group, MOST_INSTANCES)

    def _role(self) -> None:
        iam = self.account.client("iam")
        iam.create_role(RoleName=self.names.group, AssumeRolePolicyDocument="{}")
        iam.create_instance_profile(InstanceProfileName=self.names.group)
        iam.add_role_to_instance_profile(InstanceProfileName=self.names.group, RoleName=self.names.group)

    def _template(self, image: str, version: str, given: t.Mapping[str, str]) -> None:
        data = {
            "ImageId": base_image(self.account.client),
            "InstanceType": "g4dn.xlarge",
            "IamInstanceProfile": {"Name": self.names.group},
        }
        host = {"launch_template_data": data, "worker_env": {**self._worker_env(), **given}}
        identity, rendered = templates.render(self.names, host, image, version)
        self.account.client("sqs").create_queue(QueueName=self.names.smoke_queue(identity))
        self.account.client("ec2").create_launch_template(
            LaunchTemplateName=self.names.group, LaunchTemplateData=rendered
        )

    def _worker_env(self) -> dict[str, str]:
        return {
            **SHORT_WAITS,
            "AWS_ENDPOINT_URL": self.site.inside,
            "SD_DEPLOYMENT_ID": self.names.deployment_id,
            "SD_GROUP": self.names.group,
            "SD_TASK_QUEUE": self.names.task_queue,
            "SD_DEAD_LETTER_QUEUE": self.names.dead_letter_queue,
            "SD_BUCKET": self.account.bucket,
            "SD_LOG_GROUP": self.names.log_group,
        }

    def members(self) -> dict[str, dict[str, t.Any]]:
        """The instances of the group, by their id."""
        names = [self.names.group]
        groups = self.account.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=names)
        return {row["InstanceId"]: row for row in groups["AutoScalingGroups"][0]["Instances"]}

    def state(self, instance: Instance) -> str:
        """Its lifecycle state, as ``Pending:Wait`` or ``InService``; ``gone`` once the group has let it go."""
        return str(self.members().get(instance.instance_id, {}).get("LifecycleState", "gone"))

    def wait_state(self, instance: Instance, state: str, seconds: float) -> None:
        """Wait until it is in that state. Raises TimeoutError."""
        until(lambda: self.state(instance) == state, f"{instance.instance_id} to be {state}", seconds)

    def launch(self) -> Instance:
        """One instance more: it waits in its launch hook until a worker completes it."""
        before = self.members()
        self.account.client("autoscaling").set_desired_capacity(
            AutoScalingGroupName=self.names.group, DesiredCapacity=len(before) + 1
        )

        def waiting() -> list[str]:
            rows = self.members().items()
            return [name for name, row in rows if name not in before and row["LifecycleState"] == "Pending:Wait"]

        return Instance(self.site, until(waiting, "an instance to launch", LAUNCH_SECONDS)[0])

    def terminate(self, instance: Instance) -> None:
        """Take it out of the group, without another in its place: its termination hook begins to wait."""
        self.account.client("autoscaling").terminate_instance_in_auto_scaling_group(
            InstanceId=instance.instance_id, ShouldDecrementDesiredCapacity=True
        )


def build(
    site: Site, deployment_id: str, version: str = "1.0.0", *, requirements: str = "noop", wheels: str = ""
) -> str:
    """Build the worker's image and push it to the deployment's repository; its reference by digest.

    ``requirements`` names the lock: ``noop``, or ``cpu`` with ``wheels``, a folder with the CPU wheel of torch.
    """
    name = Names(deployment_id).group
    tag = f"{site.registry}/{name}:{version}"
    with pip_configuration(wheels, site.gateway) as pip_conf:
        Build(tag, version, requirements=requirements, pip_conf=pip_conf).run()
    ecr = Account(site.endpoint, deployment_id).client("ecr")
    ecr.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    password = base64.b64decode(token).decode().partition(":")[2]
    docker("login", "--username", "AWS", "--password-stdin", site.registry, stdin=password)
    docker("push", "--quiet", tag)
    docker("logout", site.registry)  # what hosts may, they may with their own role
    found = ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": version}])
    return f"{site.registry}/{name}@{found['imageDetails'][0]['imageDigest']}"
