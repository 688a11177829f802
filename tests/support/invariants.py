# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true of a deployment that nobody works on (the invariants that can be seen from outside)."""

from __future__ import annotations

import itertools
import json
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger
from tests.support import failures
from tests.support.fleet import ACCOUNT, Fleet

BOOTSTRAP = "1"
ACTIVE = {"Pending", "InProgress", "Baking", "Cancelling", "RollbackInProgress"}


def violations(fleet: Fleet) -> list[str]:
    """What is not as it must be once a run has ended, a sentence each."""
    ledger = fleet.ledger
    checks = (_ledger, _group, _refresh, _parameters, _leftovers, _history, _requests)
    return [sentence for check in checks for sentence in check(fleet, ledger)]


def _ledger(fleet: Fleet, ledger: Ledger) -> t.Iterator[str]:
    if ledger.is_open or ledger.candidate or ledger.refresh_id or ledger.step or ledger.held:
        yield f"the ledger is open: {ledger.status}, candidate {ledger.candidate}, refresh {ledger.refresh_id}"
    rejected = {item.release_id for item in ledger.rejected}
    for role, release in (("stable", ledger.stable), ("previous", ledger.previous)):
        if release is not None and release.release_id in rejected:
            yield f"{role} {release.version} was rejected"
    if ledger.stable and ledger.previous and ledger.stable.release_id == ledger.previous.release_id:
        yield f"previous is stable itself: {ledger.stable.version}"


def _group(fleet: Fleet, ledger: Ledger) -> t.Iterator[str]:
    group = fleet.group()
    template = ledger.stable.template_version if ledger.stable else BOOTSTRAP
    if group["LaunchTemplate"]["Version"] != template and (ledger.stable or group["DesiredCapacity"]):
        yield f"the group saves template {group['LaunchTemplate']['Version']}, stable is {template}"
    states = sorted((row["LaunchTemplate"]["Version"], row["LifecycleState"]) for row in group["Instances"])
    if states != [(template, "InService")] * group["DesiredCapacity"]:
        yield f"instances (template, state) {states}, wanted {group['DesiredCapacity']} of template {template}"
    if ledger.stable is None and group["DesiredCapacity"]:
        yield f"nothing is stable and {group['DesiredCapacity']} instances are wanted"
    if group["SuspendedProcesses"]:
        yield f"suspended: {group['SuspendedProcesses']}"


def _refresh(fleet: Fleet, _ledger: Ledger) -> t.Iterator[str]:
    rows = fleet.client("autoscaling").describe_instance_refreshes(AutoScalingGroupName=fleet.names.group)
    for row in rows["InstanceRefreshes"]:
        if row["Status"] in ACTIVE:
            yield f"instance refresh {row['InstanceRefreshId']} is {row['Status']}"


def _parameters(fleet: Fleet, ledger: Ledger) -> t.Iterator[str]:
    for name, value in ledger.projections().items():
        if fleet.parameter(name) != value:
            yield f"parameter {name} is {fleet.parameter(name)}, the ledger says {value}"
    if fleet.locks():
        yield f"locks are left: {fleet.locks()}"


def _leftovers(fleet: Fleet, ledger: Ledger) -> t.Iterator[str]:
    names = fleet.names
    found = fleet.client("cloudwatch").describe_alarms(AlarmNames=[names.gate_alarm, names.failures_alarm])
    yield from (f"alarm {row['AlarmName']} is left" for row in found["MetricAlarms"])
    kept = {names.smoke_queue(release.release_id) for release in (ledger.stable, ledger.previous) if release}
    urls = fleet.client("sqs").list_queues(QueueNamePrefix=names.smoke_prefix).get("QueueUrls", ())
    yield from (f"queue {url.rsplit('/', 1)[1]} is left" for url in urls if url.rsplit("/", 1)[1] not in kept)


def _requests(fleet: Fleet, ledger: Ledger) -> t.Iterator[str]:
    """What a release that went back had failed was sent again."""
    kept, rejected = failures.kept(fleet), {item.release_id for item in ledger.rejected}
    yield from (
        f"request {name}, failed by a rejected release, was not sent again" for by, name in kept if by in rejected
    )
    if fleet.traffic.refused:
        lost = fleet.traffic.refused.keys() - failures.sent_again(fleet).keys() - {name for _by, name in kept}
        yield from (f"request {name} is lost" for name in lost)


def _history(fleet: Fleet, ledger: Ledger) -> t.Iterator[str]:
    for record in records(fleet):
        if record["sequence"] <= ledger.sequence and record["outcome"] == "open":
            yield f"record {record['sequence']} of the history is open"
        if record["kind"] == "deploy" and record["outcome"] == "succeeded":
            yield from _unjudged(record)


def _unjudged(record: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    rows = sorted(record["verdicts"], key=lambda row: row["step"])
    if not rows or rows[-1]["percentage"] != 100 or rows[-1]["verdict"] != "pass":
        judged = [(row["percentage"], row["verdict"]) for row in rows]
        yield f"{record['version']} became stable with the verdicts {judged}"


def records(fleet: Fleet) -> list[dict[str, t.Any]]:
    """The history, oldest first."""
    s3, bucket = fleet.client("s3"), fleet.names.bucket(ACCOUNT)
    keys = [row["Key"] for row in s3.list_objects_v2(Bucket=bucket, Prefix="releases/").get("Contents", ())]
    return [json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in sorted(keys)]


def lowest_in_service(fleet: Fleet, since: str) -> int:
    """The lowest number of instances in service from that time on, by the timeline."""
    serving: set[str] = set()
    lowest: int | None = None
    for when, entries in itertools.groupby(fleet.harness.world.timeline.entries, key=lambda entry: entry["time"]):
        if when > since and lowest is None:
            lowest = len(serving)
        for entry in entries:
            if entry["instance"]:
                change = serving.add if entry["lifecycle"] == "InService" else serving.discard
                change(entry["instance"])
        lowest = min(lowest, len(serving)) if lowest is not None else None
    return len(serving) if lowest is None else lowest


def lines_of(problems: t.Iterable[str]) -> str:
    """For people."""
    return "; ".join(problems)
