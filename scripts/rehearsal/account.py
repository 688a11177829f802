# SPDX-License-Identifier: GPL-3.0-or-later
"""The account as the demo looks at it: what was asked, answered, logged and recorded."""

from __future__ import annotations

import datetime as dt
import json
import typing as t

import boto3

ACCOUNT, REGION = "123456789012", "us-east-1"


class Account:
    """One deployment in the account behind an endpoint."""

    def __init__(self, endpoint: str, deployment_id: str) -> None:
        self._endpoint = endpoint
        self._id = deployment_id
        self.group = f"sd-inference-{deployment_id}"
        self.bucket = f"sd-images-{deployment_id}-{ACCOUNT}"
        self._s3 = self.client("s3")
        self._sqs = self.client("sqs")

    def client(self, service: str) -> t.Any:
        """A client of that service."""
        session = boto3.session.Session("local", "local", region_name=REGION)
        return session.client(service, endpoint_url=self._endpoint)

    def send(self, request: t.Mapping[str, t.Any]) -> None:
        """Put one request on the task queue."""
        url = self._sqs.get_queue_url(QueueName=f"sd-task-queue-{self._id}")["QueueUrl"]
        self._sqs.send_message(QueueUrl=url, MessageBody=json.dumps(request))

    def keys(self, prefix: str) -> list[str]:
        """The keys in the bucket below that prefix."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        """One object."""
        return t.cast(bytes, self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def answered(self) -> set[str]:
        """The ids that have a result."""
        return {key.split("/")[1] for key in self.keys("results/") if key.endswith("/result.json")}

    def results(self) -> dict[str, dict[str, t.Any]]:
        """Every result by its id."""
        return {name: json.loads(self.read(f"results/{name}/result.json")) for name in self.answered()}

    def result_writes(self) -> dict[str, int]:
        """How many versions of each result the bucket holds; one each where it keeps no versions."""
        writes: dict[str, int] = {}
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix="results/")
        for item in (item for page in pages for item in page.get("Versions", [])):
            if item["Key"].endswith("/result.json"):
                name = item["Key"].split("/")[1]
                writes[name] = writes.get(name, 0) + 1
        return writes

    def jobs(self) -> list[dict[str, t.Any]]:
        """Every job log line of the workers."""
        pages = (
            self.client("logs")
            .get_paginator("filter_log_events")
            .paginate(
                logGroupName=f"/sd-inference/{self._id}/api-scheduler",
                filterPattern='{ $.event = "job" }',  # a worker that dies leaves lines that are no JSON
            )
        )
        return [json.loads(event["message"]) for page in pages for event in page["events"]]

    def dead_letters(self) -> int:
        """How many messages lie in the dead letter queue."""
        url = self._sqs.get_queue_url(QueueName=f"sd-task-dlq-{self._id}")["QueueUrl"]
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def history(self) -> list[dict[str, t.Any]]:
        """Every release, oldest first."""
        releases = [json.loads(self.read(key)) for key in self.keys("releases/")]
        return sorted(releases, key=lambda release: int(release["sequence"]))

    def parameter(self, name: str) -> str:
        """One of the deployment's parameters."""
        reply = self.client("ssm").get_parameter(Name=f"/sd-inference/{self._id}/{name}")
        return str(reply["Parameter"]["Value"])

    def changed_at(self, name: str, value: str, since: dt.datetime) -> dt.datetime:
        """When one of the deployment's parameters first became this value since then. Raises LookupError."""
        pages = self.client("ssm").get_paginator("get_parameter_history")
        rows = [row for page in pages.paginate(Name=f"/sd-inference/{self._id}/{name}") for row in page["Parameters"]]
        for row in rows:
            if row["Value"] == value and row["LastModifiedDate"] >= since:
                return t.cast(dt.datetime, row["LastModifiedDate"])
        raise LookupError(f"{name} was never {value} since {since}")

    def versions_in_service(self) -> list[str]:
        """The image version of every instance in service."""
        groups = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[self.group])
        rows = groups["AutoScalingGroups"][0]["Instances"]
        serving = [row["InstanceId"] for row in rows if row["LifecycleState"] == "InService"]
        pages = (
            self.client("ec2")
            .get_paginator("describe_tags")
            .paginate(Filters=[{"Name": "key", "Values": ["ImageVersion"]}, {"Name": "resource-id", "Values": serving}])
        )
        return sorted(tag["Value"] for page in pages for tag in page["Tags"])

    def ledger(self) -> dict[str, t.Any]:
        """The deployment's record."""
        return t.cast(dict[str, t.Any], json.loads(self.parameter("release")))

    def digest(self, version: str) -> str:
        """The digest of a pushed version."""
        found = self.client("ecr").describe_images(repositoryName=self.group, imageIds=[{"imageTag": version}])
        return str(found["imageDetails"][0]["imageDigest"])
