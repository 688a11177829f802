# SPDX-License-Identifier: Apache-2.0
"""Evaluates the alarms of the world and does what they say."""

from __future__ import annotations

import datetime as dt
import json
import logging
import math
import typing as t

from local_aws import store
from local_aws.alarms import metrics
from local_aws.alarms.expressions import ExpressionError, evaluate
from local_aws.alarms.rules import Rule, State, Verdict, judge, range_length

if t.TYPE_CHECKING:
    from local_aws.world import World

LOG = logging.getLogger(__name__)
_ACTIONS = {"ALARM": "alarm_actions", "OK": "ok_actions", "INSUFFICIENT_DATA": "insufficient_data_actions"}


class AlarmEngine:
    """One evaluation of each alarm per period's end; actions on transitions, scaling again while in alarm."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ends: dict[str, tuple[int, dt.datetime]] = {}
        """Per alarm, the object and the end of the period that was evaluated last."""

    def tick(self) -> None:
        """Evaluate the alarms of which a period has ended."""
        now = self._world.clock.now()
        for alarm in list(metrics.backend().alarms.values()):
            if alarm.rule is None:
                self._look_at(alarm, now)

    def _look_at(self, alarm: t.Any, now: dt.datetime) -> None:
        period = period_of(alarm)
        end = dt.datetime.fromtimestamp(math.floor(now.timestamp() / period) * period, dt.UTC)
        if self._ends.get(alarm.name) == (id(alarm), end):
            return
        self._ends[alarm.name] = (id(alarm), end)
        try:
            verdict = judge(rule_of(alarm), datapoints(alarm, period, end), alarm.state_value)
        except ExpressionError as problem:
            LOG.warning("alarm %s: %s", alarm.name, problem)
            return
        self._apply(alarm, verdict)

    def _apply(self, alarm: t.Any, verdict: Verdict) -> None:
        if verdict.state != alarm.state_value:
            transition(self._world, alarm, verdict)
        elif verdict.state == "ALARM":
            # EC2 Auto Scaling goes on as long as the alarm lasts: its own cooldown or warm-up decides.
            act(self._world, alarm, verdict.value, scaling_only=True)


def period_of(alarm: t.Any) -> float:
    """The alarm's period in seconds, also where its metrics carry it."""
    if alarm.period:
        return float(alarm.period)
    for query in alarm.metric_data_queries:
        period = query.period or (query.metric_stat.period if query.metric_stat else None)
        if period:
            return float(period)
    return 60.0


def rule_of(alarm: t.Any) -> Rule:
    """The rule of moto's alarm."""
    periods = int(alarm.evaluation_periods)
    return Rule(
        alarm.comparison_operator,
        float(alarm.threshold),
        periods,
        int(alarm.datapoints_to_alarm or periods),
        alarm.treat_missing_data or "missing",
    )


def datapoints(alarm: t.Any, period: float, end: dt.datetime) -> list[float | None]:
    """The datapoints of the evaluation range, the newest first."""
    length = range_length(int(alarm.evaluation_periods))
    if not alarm.metric_data_queries:
        dimensions = {dimension.name: dimension.value for dimension in alarm.dimensions}
        statistic = alarm.statistic or alarm.extended_statistic
        return metrics.series(alarm.namespace, alarm.metric_name, dimensions, statistic, period, end, length)
    return _math(alarm.metric_data_queries, period, end, length)


def _math(queries: list[t.Any], period: float, end: dt.datetime, length: int) -> list[float | None]:
    known = {query.id: _query_series(query, period, end, length) for query in queries if query.metric_stat}
    waiting = [query for query in queries if query.expression]
    for query in waiting:  # an expression may use those before it
        known[query.id] = [
            evaluate(query.expression, {name: values[index] for name, values in known.items()})
            for index in range(length)
        ]
    returned = [query for query in queries if str(query.return_data).lower() != "false"]
    return known[returned[-1].id]


def _query_series(query: t.Any, period: float, end: dt.datetime, length: int) -> list[float | None]:
    metric = query.metric_stat.metric
    dimensions = {dimension.name: dimension.value for dimension in metric.dimensions}
    return metrics.series(metric.namespace, metric.metric_name, dimensions, query.metric_stat.stat, period, end, length)


def transition(world: World, alarm: t.Any, verdict: Verdict) -> None:
    """Enter a state: record it, then do its actions."""
    now = world.clock.now()
    alarm.__dict__.setdefault("events", []).append(
        {
            "AlarmName": alarm.name,
            "AlarmType": "MetricAlarm",
            "Timestamp": now,
            "HistoryItemType": "StateUpdate",
            "HistorySummary": f"Alarm updated from {alarm.state_value} to {verdict.state}",
            "HistoryData": json.dumps(
                {
                    "oldState": {"stateValue": alarm.state_value},
                    "newState": {"stateValue": verdict.state, "stateReason": verdict.reason},
                }
            ),
        }
    )
    before: State = alarm.state_value
    alarm.state_value, alarm.state_reason = verdict.state, verdict.reason
    alarm.state_updated_timestamp = metrics.naive(now)
    act(world, alarm, verdict.value, before=before)


def act(world: World, alarm: t.Any, value: float | None, before: State = "OK", scaling_only: bool = False) -> None:
    """Do the actions of the alarm's state."""
    if not alarm.actions_enabled:
        return
    for arn in list(getattr(alarm, _ACTIONS[alarm.state_value]) or []):
        if ":autoscaling:" in arn:
            world.execute_policy(arn, value, None if alarm.threshold is None else float(alarm.threshold))
        elif ":sns:" in arn and not scaling_only:
            _publish(alarm, arn, before)


def _publish(alarm: t.Any, arn: str, before: State) -> None:
    from moto.sns.models import sns_backends

    message = {
        "AlarmName": alarm.name,
        "AlarmArn": alarm.alarm_arn,
        "AWSAccountId": store.ACCOUNT,
        "Region": store.REGION,
        "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason,
        "OldStateValue": before,
        "StateChangeTime": f"{alarm.state_updated_timestamp:%Y-%m-%dT%H:%M:%S.000+0000}",
    }
    try:
        sns_backends[store.ACCOUNT][store.REGION].publish(
            json.dumps(message), arn=arn, subject=f'{alarm.state_value}: "{alarm.name}"'
        )
    except Exception:  # an alarm goes on, whatever its topic answers
        LOG.exception("alarm %s could not publish to %s", alarm.name, arn)
