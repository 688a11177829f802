# SPDX-License-Identifier: Apache-2.0
"""The door of local_aws: what boto3 sees of it."""

from __future__ import annotations

import collections.abc
import json
import time
import typing as t
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local_aws import store
from local_aws.harness import Harness


@pytest.fixture
def harness() -> collections.abc.Iterator[Harness]:
    with Harness() as running:
        yield running


def call(harness: Harness, path: str, document: t.Any = None, method: str = "GET") -> t.Any:
    data = None if document is None else json.dumps(document).encode()
    with urllib.request.urlopen(
        urllib.request.Request(harness.endpoint + path, data, method=method), timeout=60
    ) as reply:
        return json.load(reply)


def impatient(harness: Harness, service: str) -> t.Any:
    return boto3.client(
        service,
        endpoint_url=harness.endpoint,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
    )


def test_another_moto_is_refused_by_version() -> None:
    with pytest.raises(store.StoreError, match=r"needs moto==5\.2\.5, found 5\.3\.0"):
        store.check_version("5.3.0")


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "code"),
    [
        ("logs", "list_integrations", {}, "UnknownOperationException"),
        ("ec2", "describe_fast_launch_images", {}, "InvalidAction"),
        ("iam", "get_context_keys_for_custom_policy", {"PolicyInputList": ["{}"]}, "InvalidAction"),
    ],
)
def test_unknown_operations_are_client_errors(
    harness: Harness, service: str, operation: str, arguments: dict[str, t.Any], code: str
) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(harness.client(service), operation)(**arguments)
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(
    ("kind", "service", "operation", "code"),
    [
        ("denied", "ec2", "describe_vpcs", "UnauthorizedOperation"),
        ("denied", "logs", "describe_log_groups", "AccessDeniedException"),
        ("denied", "s3", "list_buckets", "AccessDenied"),
        ("denied", "iam", "list_roles", "AccessDenied"),
        ("throttle", "ec2", "describe_vpcs", "RequestLimitExceeded"),
        ("throttle", "sns", "list_topics", "Throttling"),
        ("throttle", "ssm", "describe_parameters", "ThrottlingException"),
        ("error500", "sqs", "list_queues", "InternalFailure"),
    ],
)
def test_faults_are_spelt_as_each_service_does(
    harness: Harness, kind: str, service: str, operation: str, code: str
) -> None:
    call(harness, "/_local/faults", [{"kind": kind, "service": service, "times": 1}], "POST")
    client = impatient(harness, service)
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)()
    assert caught.value.response["Error"]["Code"] == code
    getattr(client, operation)()


def test_a_lost_reply_was_executed(harness: Harness) -> None:
    harness.world.faults.replace([{"kind": "lost_reply", "operation": "CreateQueue", "times": 1}])
    client = impatient(harness, "sqs")
    with pytest.raises(BotoCoreError):
        client.create_queue(QueueName="q")
    assert len(client.list_queues()["QueueUrls"]) == 1


def test_a_delayed_call_is_carried_out_late(harness: Harness) -> None:
    harness.world.faults.replace([{"kind": "delay", "operation": "CreateQueue", "times": 1, "seconds": 0.3}])
    client, began = impatient(harness, "sqs"), time.monotonic()
    client.create_queue(QueueName="q")
    assert time.monotonic() - began >= 0.3
    assert len(client.list_queues()["QueueUrls"]) == 1


def test_a_bad_fault_is_refused(harness: Harness) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400") as caught:
        call(harness, "/_local/faults", [{"kind": "earthquake"}], "POST")
    caught.value.close()


def test_the_gpu_image_has_its_public_parameter(harness: Harness) -> None:
    name = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id"
    image = harness.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    assert harness.client("ec2").describe_images(ImageIds=[image])["Images"][0]["Architecture"] == "x86_64"
    assert len(harness.client("ec2").describe_images()["Images"]) == 3


def test_managed_policies_exist(harness: Harness) -> None:
    arn = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
    assert harness.client("iam").get_policy(PolicyArn=arn)["Policy"]["Arn"] == arn


def test_reset_forgets_everything(harness: Harness) -> None:
    harness.client("sqs").create_queue(QueueName="q")
    call(harness, "/_local/reset", {}, "POST")
    assert "QueueUrls" not in harness.client("sqs").list_queues()
    assert (call(harness, "/_local/timeline"), call(harness, "/_local/health")) == ([], {"status": "ok"})


def test_s3_writes_can_be_conditional(harness: Harness) -> None:
    s3 = harness.client("s3")
    s3.create_bucket(Bucket="some-bucket")
    s3.put_object(Bucket="some-bucket", Key="k", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="some-bucket", Key="k", Body=b"2", IfNoneMatch="*")


def test_launch_template_versions_merge_their_source_and_can_go(harness: Harness) -> None:
    ec2 = harness.client("ec2")
    tags = [{"ResourceType": "launch-template", "Tags": [{"Key": "a", "Value": "b"}]}]
    ec2.create_launch_template(
        LaunchTemplateName="tpl",
        LaunchTemplateData={"InstanceType": "g4dn.xlarge", "UserData": "YQ=="},
        TagSpecifications=tags,
    )
    ec2.create_launch_template_version(
        LaunchTemplateName="tpl", SourceVersion="1", LaunchTemplateData={"UserData": "Yg=="}
    )
    found = ec2.describe_launch_template_versions(LaunchTemplateName="tpl")["LaunchTemplateVersions"]
    assert [version["LaunchTemplateData"] for version in found] == [
        {"InstanceType": "g4dn.xlarge", "UserData": "Yg=="},
        {"InstanceType": "g4dn.xlarge", "UserData": "YQ=="},
    ]
    reply = ec2.delete_launch_template_versions(LaunchTemplateName="tpl", Versions=["1", "2", "7"])
    assert [v["VersionNumber"] for v in reply["SuccessfullyDeletedLaunchTemplateVersions"]] == [2]
    assert [v["VersionNumber"] for v in reply["UnsuccessfullyDeletedLaunchTemplateVersions"]] == [1, 7]
    third = ec2.create_launch_template_version(
        LaunchTemplateName="tpl", LaunchTemplateData={"InstanceType": "g5.xlarge"}
    )
    assert third["LaunchTemplateVersion"]["VersionNumber"] == 3
    assert ec2.describe_launch_templates()["LaunchTemplates"][0]["LatestVersionNumber"] == 3
    with pytest.raises(ClientError, match=r"InvalidLaunchTemplateId\.VersionNotFound"):
        ec2.describe_launch_template_versions(LaunchTemplateName="tpl", Versions=["2"])


def test_every_call_is_on_record_with_its_caller(harness: Harness) -> None:
    harness.client("sts").get_caller_identity()
    kept = call(harness, "/_local/calls")
    assert (kept[-1]["service"], kept[-1]["operation"]) == ("sts", "GetCallerIdentity")
    assert kept[-1]["access_key"] and kept[-1]["seconds"] >= 0
