# SPDX-License-Identifier: Apache-2.0
"""moto's CloudWatch with alarms that start without data, keep their state over a Put, act and remember."""

from __future__ import annotations

import typing as t

from moto.core.responses import ActionResult, EmptyResult

from local_aws import store
from local_aws.alarms import engine, metrics
from local_aws.alarms.rules import Verdict


def install() -> None:
    """Replace what moto does wrong about alarms and the times of metrics."""
    from moto.cloudwatch.models import Alarm, CloudWatchBackend
    from moto.cloudwatch.responses import CloudWatchResponse

    if hasattr(CloudWatchBackend, "local_aws"):
        return
    setattr(CloudWatchBackend, "local_aws", True)
    _start_without_data(Alarm)
    _keep_state(CloudWatchBackend)
    _stamp_metrics(CloudWatchBackend)
    setattr(CloudWatchResponse, "set_alarm_state", set_alarm_state)
    setattr(CloudWatchResponse, "describe_alarm_history", describe_alarm_history)


def _start_without_data(alarm_class: t.Any) -> None:
    stock = alarm_class.__init__

    def init(self: t.Any, *args: t.Any, **kwargs: t.Any) -> None:
        """A new alarm has not been evaluated."""
        stock(self, *args, **kwargs)
        self.state_value, self.state_reason = "INSUFFICIENT_DATA", "Unchecked: Initial alarm creation"
        now = metrics.naive(store.bound().clock.now())
        self.state_updated_timestamp = self.configuration_updated_timestamp = now

    setattr(alarm_class, "__init__", init)


def _keep_state(backend_class: t.Any) -> None:
    stock = backend_class.put_metric_alarm

    def put_metric_alarm(self: t.Any, name: str, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """An update overwrites the configuration and leaves the state."""
        before = self.alarms.get(name)
        alarm = stock(self, name, *args, **kwargs)
        for field in ("state_value", "state_reason", "state_updated_timestamp", "events") if before else ():
            if field in before.__dict__:
                setattr(alarm, field, before.__dict__[field])
        return alarm

    setattr(backend_class, "put_metric_alarm", put_metric_alarm)


def _stamp_metrics(backend_class: t.Any) -> None:
    stock = backend_class.put_metric_data

    def put_metric_data(self: t.Any, namespace: str, metric_data: list[dict[str, t.Any]]) -> None:
        """A datapoint without a time is of the world's now."""
        now = metrics.naive(store.bound().clock.now())
        stock(self, namespace, [{"Timestamp": now, **datum} for datum in metric_data])

    setattr(backend_class, "put_metric_data", put_metric_data)


def set_alarm_state(response: t.Any) -> ActionResult:
    """SetAlarmState: the actions of the state run too; the next evaluation sets it right again."""
    from moto.cloudwatch.exceptions import InvalidFormat, ResourceNotFound

    alarm = response.cloudwatch_backend.alarms.get(response._get_param("AlarmName"))
    state = response._get_param("StateValue")
    if alarm is None:
        raise ResourceNotFound("The named alarm does not exist")
    if state not in ("OK", "ALARM", "INSUFFICIENT_DATA"):
        raise InvalidFormat(f"{state} is not a state of an alarm")
    engine.transition(store.bound(), alarm, Verdict(state, response._get_param("StateReason"), None))
    return EmptyResult()


def describe_alarm_history(response: t.Any) -> ActionResult:
    """DescribeAlarmHistory: the newest first."""
    name = response._get_param("AlarmName")
    alarms = [alarm for alarm in response.cloudwatch_backend.alarms.values() if name in (None, alarm.name)]
    items = [item for alarm in alarms for item in alarm.__dict__.get("events", [])]
    items.sort(key=lambda item: item["Timestamp"], reverse=response._get_param("ScanBy") != "TimestampAscending")
    return ActionResult({"AlarmHistoryItems": items[: int(response._get_param("MaxRecords") or 100)]})
