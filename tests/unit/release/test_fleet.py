# SPDX-License-Identifier: GPL-3.0-or-later
"""How AWS's answers about a group and its refresh are read. Answers in, values out."""

from __future__ import annotations

import datetime as dt
import typing as t

import boto3
import pytest
from botocore.stub import Stubber

from ansible_collections.diffusion.fleet.plugins.module_utils._release.fleet import read_group, read_newest_refresh
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import Refresh

NAMES = Names("demo")
OWN = {"LaunchTemplateId": "lt-0a", "LaunchTemplateName": NAMES.group, "Version": "3"}
ALARM = "Automatic rollback: The CloudWatch alarm mine is in ALARM state."


def answering(operation: str, answer: dict[str, t.Any]) -> t.Any:
    """A client to whom AWS answers that, once."""
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    client = boto3.client("autoscaling", region_name="us-east-1", **keys)
    stubber = Stubber(client)
    stubber.add_response(operation, answer)
    stubber.activate()
    return client


def refresh(**members: t.Any) -> Refresh:
    """The refresh as read from those members."""
    row = {"InstanceRefreshId": "r", "Status": "InProgress", **members}
    found = read_newest_refresh(answering("describe_instance_refreshes", {"InstanceRefreshes": [row]}), NAMES.group)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("turned", "now", "reason"),
    [
        (None, "Waiting for instances.", "Waiting for instances."),
        (ALARM, None, ALARM),
        (ALARM, ALARM, ALARM),
        (ALARM, "Failed to replace instances.", f"{ALARM}; Failed to replace instances."),
    ],
)
def test_why_a_refresh_turned_round_is_kept(turned: str | None, now: str | None, reason: str) -> None:
    details = {"RollbackDetails": {"RollbackReason": turned}} if turned else {}
    status = {"StatusReason": now} if now else {}
    assert refresh(Status="RollbackInProgress", **details, **status).reason == reason


def test_what_has_not_begun_has_no_time() -> None:
    assert refresh(Status="Pending").started_at is None
    begun = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
    assert refresh(StartTime=begun).started_at == begun


@pytest.mark.parametrize(
    ("status", "active"), [("Pending", True), ("Cancelling", True), ("Rethinking", True), ("RollbackFailed", False)]
)
def test_a_status_of_the_future_is_no_end(status: str, active: bool) -> None:
    assert refresh(Status=status).active is active
    assert refresh(Status=status).unknown is (status == "Rethinking")


@pytest.mark.parametrize(
    ("changed", "version"),
    [
        ({}, "3"),
        ({"LaunchTemplateName": "other", "LaunchTemplateId": "lt-0b"}, "other:3"),
        ({"LaunchTemplateName": None}, "3"),
        ({"LaunchTemplateName": None, "LaunchTemplateId": "lt-0b"}, "lt-0b:3"),
    ],
)
def test_a_number_counts_only_with_its_template(changed: dict[str, str | None], version: str) -> None:
    template = {name: value for name, value in {**OWN, **changed}.items() if value is not None}
    member = {
        "InstanceId": "i-0a",
        "AvailabilityZone": "us-east-1a",
        "LifecycleState": "InService",
        "HealthStatus": "Healthy",
        "ProtectedFromScaleIn": False,
        "LaunchTemplate": template,
    }
    group = {
        "AutoScalingGroupName": NAMES.group,
        "AutoScalingGroupARN": "arn",
        **dict.fromkeys(("MinSize", "MaxSize", "DesiredCapacity", "DefaultCooldown"), 1),
        "AvailabilityZones": ["us-east-1a"],
        "HealthCheckType": "EC2",
        "CreatedTime": dt.datetime(2026, 11, 23, tzinfo=dt.UTC),
        "LaunchTemplate": OWN,
        "Instances": [member],
    }
    read = read_group(answering("describe_auto_scaling_groups", {"AutoScalingGroups": [group]}), NAMES)
    assert (read.template_name, read.template_version) == (NAMES.group, "3")
    assert [row.template_version for row in read.members] == [version]
    if "LaunchTemplateName" in template:
        assert refresh(DesiredConfiguration={"LaunchTemplate": template}).template_version == version
