# SPDX-License-Identifier: Apache-2.0
"""Instance metadata as a worker sees it."""

from __future__ import annotations

import collections.abc
import json
import typing as t
import urllib.error
import urllib.request

import botocore.session
import pytest

from local_aws.harness import Harness


class Metadata(t.NamedTuple):
    """One instance's metadata service."""

    harness: Harness
    instance: str

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        request = urllib.request.Request(f"{self.harness.endpoint}/imds/{self.instance}/latest/{path}", method=method)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, ""

    def token(self) -> str:
        return self.ask("api/token", "PUT", X_aws_ec2_metadata_token_ttl_seconds="60")[1]

    def get(self, path: str) -> tuple[int, str]:
        return self.ask(path, X_aws_ec2_metadata_token=self.token())


@pytest.fixture
def metadata() -> collections.abc.Iterator[Metadata]:
    with Harness() as harness:
        iam = harness.client("iam")
        iam.create_role(RoleName="worker", AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')
        iam.create_instance_profile(InstanceProfileName="worker")
        iam.add_role_to_instance_profile(InstanceProfileName="worker", RoleName="worker")
        made = harness.client("ec2").run_instances(
            ImageId="ami-0a1b2c3d4e5f60001",
            MinCount=1,
            MaxCount=1,
            InstanceType="g4dn.xlarge",
            UserData="hello",
            IamInstanceProfile={"Name": "worker"},
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "ReleaseId", "Value": "abc"}]}],
        )
        yield Metadata(harness, made["Instances"][0]["InstanceId"])


def test_nothing_without_a_token(metadata: Metadata) -> None:
    assert metadata.ask("meta-data/instance-id")[0] == 401
    assert metadata.ask("meta-data/instance-id", X_aws_ec2_metadata_token="guess")[0] == 401


def test_a_token_ends(metadata: Metadata) -> None:
    token = metadata.token()
    metadata.harness.clock.advance(60)
    assert metadata.ask("meta-data/instance-id", X_aws_ec2_metadata_token=token)[0] == 401


def test_the_instance_knows_itself(metadata: Metadata) -> None:
    items = ("instance-id", "placement/region", "instance-type", "ami-id", "tags/instance/ReleaseId")
    assert [metadata.get(f"meta-data/{item}")[1] for item in items] == [
        metadata.instance,
        "us-east-1",
        "g4dn.xlarge",
        "ami-0a1b2c3d4e5f60001",
        "abc",
    ]
    assert metadata.get("meta-data/placement/availability-zone")[1].startswith("us-east-1")
    assert metadata.get("user-data") == (200, "hello")
    assert json.loads(metadata.get("dynamic/instance-identity/document")[1])["accountId"] == "123456789012"


def test_items_that_are_not_set_are_not_found(metadata: Metadata) -> None:
    for item in ("autoscaling/target-lifecycle-state", "spot/instance-action", "public-keys"):
        assert metadata.get(f"meta-data/{item}")[0] == 404


def test_a_spot_notice_ends_the_instance_after_two_minutes(metadata: Metadata) -> None:
    url = f"{metadata.harness.endpoint}/_local/instances/{metadata.instance}/spot-notice"
    urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=60).close()
    assert json.loads(metadata.get("meta-data/spot/instance-action")[1])["action"] == "terminate"
    metadata.harness.advance(121, 11)
    found = metadata.harness.client("ec2").describe_instances(InstanceIds=[metadata.instance])
    assert found["Reservations"][0]["Instances"][0]["State"]["Name"] in ("shutting-down", "terminated")


def test_botocore_finds_the_role_credentials(metadata: Metadata, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    # By itself it asks once and waits for a second, which is short beside three other suites on two cores.
    monkeypatch.setenv("AWS_METADATA_SERVICE_TIMEOUT", "60")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"{metadata.harness.endpoint}/imds/{metadata.instance}/")
    metadata.harness.clock.advance((10 * 365) * 86400.0)
    credentials = botocore.session.Session().get_credentials()
    assert credentials is not None
    assert credentials.access_key.startswith("ASIA")
