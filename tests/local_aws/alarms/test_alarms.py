# SPDX-License-Identifier: Apache-2.0
"""Alarms over HTTP on virtual time: states, missing data, metric math, actions."""

from __future__ import annotations

import collections.abc
import json
import typing as t

import pytest

from local_aws.alarms.expressions import ExpressionError, evaluate
from local_aws.alarms.rules import Rule, State, judge
from local_aws.harness import Harness

ALARM: dict[str, t.Any] = {
    "AlarmName": "a",
    "Namespace": "N",
    "MetricName": "M",
    "Statistic": "Maximum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 10,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
}


@pytest.fixture
def harness() -> collections.abc.Iterator[Harness]:
    with Harness() as running:
        yield running


def put(harness: Harness, value: float, name: str = "M") -> None:
    harness.client("cloudwatch").put_metric_data(Namespace="N", MetricData=[{"MetricName": name, "Value": value}])


def state(harness: Harness) -> str:
    return str(harness.client("cloudwatch").describe_alarms(AlarmNames=["a"])["MetricAlarms"][0]["StateValue"])


def test_a_new_alarm_has_no_data_and_keeps_its_state_over_a_put(harness: Harness) -> None:
    cloudwatch = harness.client("cloudwatch")
    cloudwatch.put_metric_alarm(**ALARM)
    assert state(harness) == "INSUFFICIENT_DATA"
    put(harness, 10)
    harness.advance(60, 60)
    assert state(harness) == "ALARM"
    cloudwatch.put_metric_alarm(**ALARM | {"AlarmDescription": "changed"})
    assert state(harness) == "ALARM"


def test_an_alarm_follows_its_metric_and_remembers(harness: Harness) -> None:
    harness.client("cloudwatch").put_metric_alarm(**ALARM)
    seen = []
    for value in (9, 10, 9):
        put(harness, value)
        harness.advance(60, 60)
        seen.append(state(harness))
    assert seen == ["OK", "ALARM", "OK"]
    history = harness.client("cloudwatch").describe_alarm_history(AlarmName="a")["AlarmHistoryItems"]
    assert next(item["HistorySummary"] for item in history) == "Alarm updated from ALARM to OK"


def test_missing_data_can_be_a_breach(harness: Harness) -> None:
    harness.client("cloudwatch").put_metric_alarm(**ALARM | {"TreatMissingData": "breaching"})
    put(harness, 1)
    harness.advance(60, 60)
    assert state(harness) == "OK"
    harness.advance(60, 60)
    assert state(harness) == "ALARM"


def test_metric_math_divides_two_metrics(harness: Harness) -> None:
    def stat(name: str) -> dict[str, t.Any]:
        return {"Metric": {"Namespace": "N", "MetricName": name}, "Period": 60, "Stat": "Sum"}

    harness.client("cloudwatch").put_metric_alarm(
        AlarmName="a",
        EvaluationPeriods=1,
        Threshold=2,
        ComparisonOperator="GreaterThanThreshold",
        Metrics=[
            {"Id": "m1", "MetricStat": stat("M"), "ReturnData": False},
            {"Id": "m2", "MetricStat": stat("W"), "ReturnData": False},
            {"Id": "e1", "Expression": "m1 / FILL(m2, 1)", "ReturnData": True},
        ],
    )
    put(harness, 9)
    put(harness, 3, "W")
    harness.advance(60, 60)
    assert state(harness) == "ALARM"


def test_queue_metrics_are_published_each_minute(harness: Harness) -> None:
    sqs = harness.client("sqs")
    sqs.send_message(QueueUrl=sqs.create_queue(QueueName="q")["QueueUrl"], MessageBody="a")
    harness.client("cloudwatch").put_metric_alarm(
        **ALARM
        | {
            "Namespace": "AWS/SQS",
            "MetricName": "ApproximateNumberOfMessagesVisible",
            "Threshold": 1,
            "Dimensions": [{"Name": "QueueName", "Value": "q"}],
        }
    )
    harness.advance(121, 1)
    assert state(harness) == "ALARM"


def test_delayed_metrics_arrive_late(harness: Harness) -> None:
    sqs = harness.client("sqs")
    sqs.create_queue(QueueName="q")
    harness.world.faults.replace([{"kind": "metric_delay", "seconds": 300}])
    harness.advance(240, 10)
    find = harness.client("cloudwatch").list_metrics
    assert find(Namespace="AWS/SQS")["Metrics"] == []
    harness.advance(120, 10)
    assert find(Namespace="AWS/SQS")["Metrics"]


def test_set_alarm_state_runs_the_actions(harness: Harness) -> None:
    sqs, sns = harness.client("sqs"), harness.client("sns")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    topic = sns.create_topic(Name="t")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:q")
    harness.client("cloudwatch").put_metric_alarm(**ALARM | {"AlarmActions": [topic]})
    harness.client("cloudwatch").set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="drill")
    notice = json.loads(json.loads(sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"])["Message"])
    assert (notice["AlarmName"], notice["NewStateValue"], notice["NewStateReason"]) == ("a", "ALARM", "drill")


@pytest.mark.parametrize(
    ("missing", "points", "expected"),
    [
        ("missing", [None, None, None], "INSUFFICIENT_DATA"),
        ("missing", [5.0, None, None], "ALARM"),
        ("missing", [0.0, None, None], "OK"),
        ("ignore", [5.0, None, None], "OK"),
        ("breaching", [None, None, None], "ALARM"),
        ("notBreaching", [5.0, None, None], "OK"),
        ("breaching", [5.0, None, None], "ALARM"),
        ("missing", [5.0, None, 0.0, None, 5.0], "OK"),
        ("missing", [5.0, 5.0, 5.0], "ALARM"),
    ],
)
def test_missing_data_is_treated_as_documented(missing: str, points: list[float | None], expected: State) -> None:
    rule = Rule("GreaterThanThreshold", 1.0, 3, 3, missing)
    assert judge(rule, points, "OK").state == expected


def test_m_of_n_datapoints_are_enough() -> None:
    rule = Rule("LessThanOrEqualToThreshold", 1.0, 3, 2)
    assert [judge(rule, points, "OK").state for points in ([1.0, 2.0, 1.0], [1.0, 2.0, 2.0])] == ["ALARM", "OK"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m1 + m2 * 2", 7.0),
        ("m1 / m2", 1 / 3 * 1.0),
        ("FILL(m3, 0) + m1", 1.0),
        ("m3 + m1", None),
        ("m1 / 0", None),
        ("IF(m2 > 2 AND m1 = 1, 5, 6)", 5.0),
        ("IF(m1 > 2, 5)", None),
        ("MAX([m1, m2])", 3.0),
        ("-m1", -1.0),
        ("m2 ^ 2", 9.0),
    ],
)
def test_metric_math(expression: str, expected: float | None) -> None:
    assert evaluate(expression, {"m1": 1.0, "m2": 3.0, "m3": None}) == expected


def test_unknown_metric_math_is_refused() -> None:
    with pytest.raises(ExpressionError, match="ANOMALY"):
        evaluate("ANOMALY_DETECTION_BAND(m1, 2)", {"m1": 1.0})
