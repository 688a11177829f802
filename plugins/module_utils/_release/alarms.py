# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The release alarms: the gate that fires when nobody judges, and the candidate's failed jobs."""

from __future__ import annotations

import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import aws_call
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import Timing

NAMESPACE = "SDInference"
GATE_METRIC = "ReleaseGate"
FAILURES_METRIC = "JobsHandedBack"
"""While a release is open, the worker hands failed jobs back; requests that are invalid do not count here."""
FAILURES_PERIOD = 60
FAILURES_THRESHOLD = 20
"""Failed jobs of the candidate in a minute that stop a release even between two looks."""


def ensure_alarms(cloudwatch: t.Any, names: Names, timing: Timing, dimensions: t.Mapping[str, str]) -> None:
    """Create the release alarms anew; the gate is fed first, so that it can become OK at once."""
    feed_gate(cloudwatch, names)
    put_alarm(cloudwatch, gate_alarm(names, timing))
    put_alarm(cloudwatch, failures_alarm(names, dimensions))


def gate_alarm(names: Names, timing: Timing) -> dict[str, t.Any]:
    """Silence is breaching: whoever watches the release feeds the metric at every tick."""
    return {
        "AlarmName": names.gate_alarm,
        "AlarmDescription": "Nobody watches the open release; AWS rolls it back.",
        "Namespace": NAMESPACE,
        "MetricName": GATE_METRIC,
        "Dimensions": _dimensions({"DeploymentId": names.deployment_id}),
        "Statistic": "Maximum",
        "Period": timing.gate_period,
        "EvaluationPeriods": timing.gate_periods,
        "Threshold": 1.0,
        "ComparisonOperator": "LessThanThreshold",
        "TreatMissingData": "breaching",
        "Tags": _tags(names),
    }


def failures_alarm(names: Names, dimensions: t.Mapping[str, str]) -> dict[str, t.Any]:
    """A burst of failed jobs on the candidate."""
    return {
        "AlarmName": names.failures_alarm,
        "AlarmDescription": "The candidate's jobs fail.",
        "Namespace": NAMESPACE,
        "MetricName": FAILURES_METRIC,
        "Dimensions": _dimensions(dimensions),
        "Statistic": "Sum",
        "Period": FAILURES_PERIOD,
        "EvaluationPeriods": 1,
        "Threshold": float(FAILURES_THRESHOLD),
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
        "Tags": _tags(names),
    }


def _dimensions(values: t.Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in values.items()]


def _tags(names: Names) -> list[dict[str, str]]:
    return [
        {"Key": "DeploymentId", "Value": names.deployment_id},
        {"Key": "Service", "Value": "StableDiffusion"},
    ]


@aws_call("create a release alarm")
def put_alarm(cloudwatch: t.Any, alarm: t.Mapping[str, t.Any]) -> None:
    """Create or replace one alarm."""
    cloudwatch.put_metric_alarm(**alarm)


@aws_call("feed the release gate")
def feed_gate(cloudwatch: t.Any, names: Names) -> None:
    """Say that somebody watches."""
    metric = {
        "MetricName": GATE_METRIC,
        "Dimensions": _dimensions({"DeploymentId": names.deployment_id}),
        "Value": 1.0,
        "StorageResolution": 1,
    }
    cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=[metric])


@aws_call("read the release alarms")
def alarm_states(cloudwatch: t.Any, wanted: t.Sequence[str]) -> dict[str, str]:
    """State by alarm; an alarm that does not exist is MISSING."""
    found = cloudwatch.describe_alarms(AlarmNames=list(wanted), AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    states = {
        row["AlarmName"]: row["StateValue"]
        for kind in ("MetricAlarms", "CompositeAlarms")
        for row in found.get(kind, ())
    }
    return {name: states.get(name, "MISSING") for name in wanted}


@aws_call("remove the release alarms")
def delete_alarms(cloudwatch: t.Any, names: Names) -> None:
    """Remove both; gone already is no error."""
    cloudwatch.delete_alarms(AlarmNames=[names.gate_alarm, names.failures_alarm])
