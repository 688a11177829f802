# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment set up through the API alone: queues, bucket, topic, image, and groups of real worker processes."""

from __future__ import annotations

import base64
import collections
import contextlib
import dataclasses
import json
import shutil
import typing as t
from pathlib import Path

import boto3

from ansible_collections.diffusion.fleet.plugins.module_utils._images.build import BuildRequest, ensure_image
from scripts.rehearsal import admin
from scripts.rehearsal.sources import copy_source
from scripts.rehearsal.stage import ROOT
from scripts.rehearsal.traffic import wait_until

ACCOUNT, REGION = "123456789012", "us-east-1"
VERSION, RELEASE = "1.0.0", "release1"
HOOK_SECONDS = 60
_RECEIVES = 50
_PLANT = """

_create = create


def create(*given):
    from api_scheduler.engines.planted import Planted

    return Planted(_create(*given))
"""


def planted_source(target: Path) -> Path:
    """A copy of the worker whose engine notes its drawings and can be spoilt; its folder."""
    copy_source(ROOT / "worker_app", target, ())
    engines = target / "src" / "api_scheduler" / "engines"
    shutil.copy(Path(__file__).with_name("planted.py"), engines / "planted.py")
    with (engines / "__init__.py").open("a", encoding="utf-8") as module:
        module.write(_PLANT)
    return target


@dataclasses.dataclass(frozen=True)
class Group:
    """A group of instances that all run the same engine."""

    name: str
    size: int


class Site:
    """One deployment behind an endpoint."""

    def __init__(self, endpoint: str, name: str) -> None:
        self.endpoint = endpoint
        self.name = name
        self.groups: list[Group] = []
        self.bucket = f"sd-images-{name}-{ACCOUNT}"
        self.dead_letter_queue = f"sd-task-dlq-{name}"
        self.log_group = f"/sd-inference/{name}/api-scheduler"
        self.sqs, self.s3, self.autoscaling = (self.client(service) for service in ("sqs", "s3", "autoscaling"))
        self.tasks = self.dead = self.notices = self.image = self._topic = ""

    def client(self, service: str) -> t.Any:
        """A client of that service."""
        session = boto3.session.Session("local", "local", region_name=REGION)
        return session.client(service, endpoint_url=self.endpoint)

    # ------------------------------------------------------------ setting up

    def prepare(self, source: Path) -> None:
        """Everything but instances; the image is built from that source."""
        self.dead = self.sqs.create_queue(QueueName=self.dead_letter_queue)["QueueUrl"]
        redrive = {"deadLetterTargetArn": self._arn(self.dead), "maxReceiveCount": _RECEIVES}
        self.tasks = self.sqs.create_queue(
            QueueName=f"sd-task-queue-{self.name}", Attributes={"RedrivePolicy": json.dumps(redrive)}
        )["QueueUrl"]
        self.notices = self.sqs.create_queue(QueueName=f"notices-{self.name}")["QueueUrl"]
        sns = self.client("sns")
        self._topic = sns.create_topic(Name=f"sd-results-{self.name}")["TopicArn"]
        sns.subscribe(TopicArn=self._topic, Protocol="sqs", Endpoint=self._arn(self.notices))
        self.s3.create_bucket(Bucket=self.bucket)
        # Each writing of a result stays visible as a version.
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self.client("logs").create_log_group(logGroupName=self.log_group)
        self.set_status("stable")
        self._make_role()
        self._push(source)

    def _arn(self, url: str) -> str:
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(found["Attributes"]["QueueArn"])

    def set_status(self, value: str) -> None:
        """The deployment's status, as a release writes it."""
        name = f"/sd-inference/{self.name}/deployment-status"
        self.client("ssm").put_parameter(Name=name, Value=value, Type="String", Overwrite=True)

    def _make_role(self) -> None:
        iam, name = self.client("iam"), f"sd-inference-{self.name}"
        iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)

    def _push(self, source: Path) -> None:
        repository = f"sd-inference-{self.name}"
        self.client("ecr").create_repository(repositoryName=repository)
        request = BuildRequest(repository, VERSION, str(source), None)
        self.image = str(ensure_image(self, request, check_mode=False)["image"])

    def add_group(self, engine: str, size: int, **variables: str) -> Group:
        """A group of that many instances, each with a worker of that engine."""
        group = Group(f"sd-inference-{self.name}-{engine}", size)
        ec2 = self.client("ec2")
        tags = [{"Key": "ImageVersion", "Value": VERSION}, {"Key": "ReleaseId", "Value": RELEASE}]
        ec2.create_launch_template(
            LaunchTemplateName=group.name,
            LaunchTemplateData={
                "ImageId": ec2.describe_images()["Images"][0]["ImageId"],
                "InstanceType": "g4dn.xlarge",
                "IamInstanceProfile": {"Name": f"sd-inference-{self.name}"},
                "TagSpecifications": [{"ResourceType": "instance", "Tags": tags}],
                "UserData": user_data({**self._environment(group, engine), **variables}),
            },
        )
        self.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=group.name,
            MinSize=0,
            MaxSize=2 * size,
            DesiredCapacity=size,
            AvailabilityZones=[f"{REGION}a"],
            LaunchTemplate={"LaunchTemplateName": group.name, "Version": "1"},
            LifecycleHookSpecificationList=[
                _hook("launch", "LAUNCHING", "ABANDON"),
                _hook("terminate", "TERMINATING", "CONTINUE"),
            ],
        )
        self.groups.append(group)
        return group

    def _environment(self, group: Group, engine: str) -> dict[str, str]:
        return {
            "SD_DEPLOYMENT_ID": self.name,
            "SD_IMAGE": self.image,
            "SD_IMAGE_VERSION": VERSION,
            "SD_RELEASE_ID": RELEASE,
            "SD_GROUP": group.name,
            "SD_TASK_QUEUE": f"sd-task-queue-{self.name}",
            "SD_DEAD_LETTER_QUEUE": self.dead_letter_queue,
            "SD_BUCKET": self.bucket,
            "SD_RESULTS_TOPIC_ARN": self._topic,
            "SD_LOG_GROUP": self.log_group,
            "SD_ENGINE": engine,
            "SD_MODEL": str(ROOT / "worker_app" / "models" / "digits"),
            "SD_TORCH_THREADS": "1",
            "SD_WAIT_SECONDS": "5",
            "SD_STATUS_SECONDS": "2",
            "SD_METRICS_SECONDS": "10",
            "SD_HOOK_POLL_SECONDS": "1",
            "SD_BACKOFF_SECONDS": "1",
        }

    # ------------------------------------------------------------ looking and acting

    def instances(self, state: str = "InService") -> list[str]:
        """The instances in that state, of all groups."""
        return [name for name, found in sorted(self.states().items()) if found == state]

    def states(self) -> dict[str, str]:
        """The lifecycle state of each instance."""
        names = [group.name for group in self.groups]
        groups = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=names)["AutoScalingGroups"]
        return {row["InstanceId"]: row["LifecycleState"] for group in groups for row in group["Instances"]}

    def wait_in_service(self, seconds: float = 90) -> None:
        """Until each group has all its instances in service."""
        wanted = sum(group.size for group in self.groups)
        wait_until(f"{wanted} instances in service", lambda: len(self.instances()) >= wanted, seconds, 0.2)

    def terminate(self, instance: str, replace: bool = True) -> None:
        """Take an instance out through its group."""
        self.autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=instance, ShouldDecrementDesiredCapacity=not replace
        )

    def refresh(self, group: Group) -> None:
        """Replace all instances of a group, half of them at a time."""
        preferences = {"MinHealthyPercentage": 50, "InstanceWarmup": 0, "ScaleInProtectedInstances": "Refresh"}
        self.autoscaling.start_instance_refresh(AutoScalingGroupName=group.name, Preferences=preferences)

    def refreshing(self, group: Group) -> bool:
        """Whether a refresh of the group is under way."""
        rows = self.autoscaling.describe_instance_refreshes(AutoScalingGroupName=group.name)["InstanceRefreshes"]
        return any(row["Status"] in ("Pending", "InProgress", "Cancelling", "Baking") for row in rows)

    def post(self, path: str, document: t.Any = None) -> None:
        """Ask local_aws for what AWS has not."""
        admin.post(self.endpoint, path, document)

    def left(self) -> int:
        """Messages of the task queue: visible, in flight and delayed."""
        names = [f"ApproximateNumberOfMessages{which}" for which in ("", "NotVisible", "Delayed")]
        found = self.sqs.get_queue_attributes(QueueUrl=self.tasks, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def take_all(self, queue: str) -> list[dict[str, t.Any]]:
        """Every message of a queue, with its attributes; they are deleted."""
        taken: list[dict[str, t.Any]] = []
        while found := self._batch(queue):
            taken += found
            entries = [
                {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]} for place, message in enumerate(found)
            ]
            self.sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
        return taken

    def _batch(self, queue: str) -> list[dict[str, t.Any]]:
        answer = self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        return t.cast("list[dict[str, t.Any]]", answer.get("Messages") or [])

    def result_versions(self) -> dict[str, int]:
        """How many times each result was written."""
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix="results/")
        keys = (str(item["Key"]) for page in pages for item in page.get("Versions", []))
        return dict(collections.Counter(key.split("/")[1] for key in keys if key.endswith("/result.json")))

    def result(self, request_id: str) -> dict[str, t.Any]:
        """One result."""
        found = self.s3.get_object(Bucket=self.bucket, Key=f"results/{request_id}/result.json")
        return t.cast("dict[str, t.Any]", json.loads(found["Body"].read()))

    def pictures(self) -> set[str]:
        """The keys of all pictures."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix="results/")
        keys = (str(item["Key"]) for page in pages for item in page.get("Contents", []))
        return {key for key in keys if key.endswith(".png")}


def _hook(name: str, transition: str, default: str) -> dict[str, t.Any]:
    return {
        "LifecycleHookName": name,
        "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{transition}",
        "HeartbeatTimeout": HOOK_SECONDS,
        "DefaultResult": default,
    }


def user_data(variables: t.Mapping[str, str]) -> str:
    """The cloud-config that a host is given, as a launch template holds it."""
    lines = "".join(f"      {name}={value}\n" for name, value in variables.items())
    text = "#cloud-config\nwrite_files:\n  - path: /etc/sd-inference/worker.env\n"
    text += f'    permissions: "0640"\n    content: |\n{lines}'
    text += "runcmd:\n  - [systemctl, enable, --now, sd-worker.service]\n"
    return base64.b64encode(text.encode()).decode()


def worker_lines(state: Path) -> list[dict[str, t.Any]]:
    """Every JSON line that a worker wrote, from the hosts' logs; a killed worker's last line may be cut off."""
    lines: list[dict[str, t.Any]] = []
    for log in sorted((state / "log").glob("i-*.log")):
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                lines += [json.loads(line)] if line.startswith("{") else []
    return lines
