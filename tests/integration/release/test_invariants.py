# SPDX-License-Identifier: GPL-3.0-or-later
"""The campaigns' own eyes: each thing that can be wrong with a fleet at rest is seen; a blind check finds all well."""

from __future__ import annotations

import dataclasses
import json
import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Rejection, Release, Status
from tests.support.fleet import ACCOUNT, Fleet, make_harness
from tests.support.invariants import lowest_in_service, violations

GATE = {"Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0}


@pytest.fixture(scope="module")
def rested() -> t.Iterator[Fleet]:
    """A fleet of 2 that runs 1.1.0 after 1.0.0; what a test puts wrong it puts right again."""
    with make_harness() as harness:
        fleet = Fleet(harness, 2)
        for version in ("1.0.0", "1.1.0"):
            fleet.build(version)
            fleet.release(version=version, percentage="100")
        fleet.sleep(40)
        yield fleet


@pytest.fixture(autouse=True)
def nothing_is_wrong(rested: Fleet) -> None:
    """Before each test."""
    assert violations(rested) == []


def record(fleet: Fleet, **changes: t.Any) -> None:
    """Write other words into the ledger."""
    ledger = dataclasses.replace(fleet.ledger, **changes)
    fleet.client("ssm").put_parameter(Name=fleet.names.ledger, Value=ledger.to_json(), Type="String", Overwrite=True)


def empty(fleet: Fleet, prefix: str) -> None:
    """Remove what lies there in the bucket."""
    where = {"Bucket": fleet.names.bucket(ACCOUNT)}
    for row in fleet.client("s3").list_objects_v2(**where, Prefix=prefix)["Contents"]:
        fleet.client("s3").delete_object(**where, Key=row["Key"])


def rejection(release: Release) -> Rejection:
    """As the ledger has it."""
    return Rejection(release.version, release.digest, "bad", release.release_id)


def test_a_ledger_that_cannot_be_at_rest_is_seen(rested: Fleet) -> None:
    good = rested.ledger
    stable, previous = t.cast(Release, good.stable), t.cast(Release, good.previous)
    wrong: tuple[tuple[dict[str, t.Any], str], ...] = (
        ({"status": Status.IN_PROGRESS, "candidate": previous, "started_at": rested.now().isoformat()}, "is open"),
        ({"held": True}, "the ledger is open"),
        ({"rejected": (rejection(previous),)}, "previous 1.0.0 was rejected"),
        ({"rejected": (rejection(stable),)}, "stable 1.1.0 was rejected"),
        ({"previous": stable}, "previous is stable itself: 1.1.0"),
        ({"stable": dataclasses.replace(stable, template_version="2")}, "the group saves template 3, stable is 2"),
        ({"stable": None}, "nothing is stable and 2 instances are wanted"),
        ({"previous": None}, "parameter previous-version is 1.0.0, the ledger says none"),
    )
    for changes, sentence in wrong:
        record(rested, **changes)
        assert any(sentence in found for found in violations(rested)), sentence
        record(rested, **dataclasses.asdict(good) | {"stable": stable, "previous": previous, "rejected": ()})
    assert violations(rested) == []


def test_what_is_left_lying_about_is_seen(rested: Fleet) -> None:
    names, epoch = rested.names, rested.ledger.epoch + 1
    rested.client("ssm").put_parameter(Name=names.lock(epoch), Value="{}", Type="String")
    queue = rested.client("sqs").create_queue(QueueName=names.smoke_queue("0123456789ab"))["QueueUrl"]
    comparison = "GreaterThanThreshold"
    rested.client("cloudwatch").put_metric_alarm(AlarmName=names.gate_alarm, ComparisonOperator=comparison, **GATE)
    group = {"AutoScalingGroupName": names.group}
    rested.client("autoscaling").suspend_processes(**group, ScalingProcesses=["AlarmNotification"])
    rested.client("autoscaling").start_instance_refresh(**group)
    found = " ".join(violations(rested))
    for sentence in ("locks are left", "queue sd-smoke-demo-0123456789ab is left", f"alarm {names.gate_alarm} is left"):
        assert sentence in found
    assert "suspended: " in found
    assert "instance refresh " in found
    rested.client("ssm").delete_parameter(Name=names.lock(epoch))
    rested.client("sqs").delete_queue(QueueUrl=queue)
    rested.client("cloudwatch").delete_alarms(AlarmNames=[names.gate_alarm])
    rested.client("autoscaling").cancel_instance_refresh(**group)
    rested.client("autoscaling").resume_processes(**group)
    rested.sleep(60)


def test_requests_that_are_lost_or_not_sent_again_are_seen(rested: Fleet) -> None:
    rested.build("1.2.0")
    rested.traffic.refusing.add("1.2.0")
    with pytest.raises(FleetError):
        rested.release(version="1.2.0", percentage="50")
    rested.sleep(40)
    forgotten = rested.fail(rested.ledger.rejected[0].release_id, "forgotten")
    rested.traffic.refused["a-lost-one"] = "body"
    assert violations(rested) == [
        f"request {forgotten}, failed by a rejected release, was not sent again",
        "request a-lost-one is lost",
    ]
    empty(rested, "state/failed/")
    del rested.traffic.refused["a-lost-one"]


def test_a_history_that_is_open_or_without_a_verdict_on_everything_is_seen(rested: Fleet) -> None:
    s3, where = rested.client("s3"), {"Bucket": rested.names.bucket(ACCOUNT), "Key": "releases/000002.json"}
    good = json.loads(s3.get_object(**where)["Body"].read())
    last = good["verdicts"][-1]
    wrong: tuple[tuple[dict[str, t.Any], str], ...] = (
        ({"outcome": "open"}, "record 2 of the history is open"),
        ({"verdicts": []}, "1.1.0 became stable with the verdicts []"),
        ({"verdicts": [{**last, "percentage": 50}]}, "1.1.0 became stable with the verdicts [(50, 'pass')]"),
        ({"verdicts": [{**last, "verdict": "fail"}]}, "1.1.0 became stable with the verdicts [(100, 'fail')]"),
    )
    for changes, sentence in wrong:
        s3.put_object(**where, Body=json.dumps(good | changes).encode())
        assert violations(rested) == [sentence]
    s3.put_object(**where, Body=json.dumps(good).encode())


def test_an_instance_that_is_missing_or_runs_something_else_is_seen(rested: Fleet) -> None:
    autoscaling, name = rested.client("autoscaling"), rested.names.group
    since = rested.now().isoformat()
    mine, other = ({"LaunchTemplateName": name, "Version": version} for version in ("3", "2"))
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, LaunchTemplate=other)
    assert violations(rested) == ["the group saves template 2, stable is 3"]
    lost = rested.group()["Instances"][0]["InstanceId"]
    autoscaling.terminate_instance_in_auto_scaling_group(InstanceId=lost, ShouldDecrementDesiredCapacity=False)
    assert lowest_in_service(rested, rested.now().isoformat()) == 1
    rested.sleep(40)
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, LaunchTemplate=mine)
    states = "[('2', 'InService'), ('3', 'InService')]"
    assert violations(rested) == [f"instances (template, state) {states}, wanted 2 of template 3"]
    assert (lowest_in_service(rested, since), lowest_in_service(rested, rested.now().isoformat())) == (1, 2)
    rested.client("ec2").terminate_instances(InstanceIds=[stray_of(rested)])
    rested.sleep(40)


def stray_of(fleet: Fleet) -> str:
    """The instance of template 2."""
    rows = fleet.group()["Instances"]
    return str(next(row["InstanceId"] for row in rows if row["LaunchTemplate"]["Version"] == "2"))
