# SPDX-License-Identifier: Apache-2.0
"""Datapoints: what AWS services publish each minute, and the statistics that alarms read."""

from __future__ import annotations

import datetime as dt
import math
import typing as t

from local_aws import store

if t.TYPE_CHECKING:
    from local_aws.world import World

Dimensions = t.Mapping[str, str]


def backend() -> t.Any:
    """moto's CloudWatch of the one account and region."""
    from moto.cloudwatch.models import cloudwatch_backends

    return cloudwatch_backends[store.ACCOUNT][store.REGION]


def aware(moment: dt.datetime) -> dt.datetime:
    """moto keeps some times naive, in UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def naive(moment: dt.datetime) -> dt.datetime:
    """As moto compares them."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None)


def publish(namespace: str, dimensions: Dimensions, values: t.Mapping[str, float], at: dt.datetime) -> None:
    """Store one datapoint of each metric."""
    named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    backend().put_metric_data(
        namespace,
        [
            {"MetricName": name, "Value": value, "Dimensions": named, "Timestamp": naive(at)}
            for name, value in values.items()
        ],
    )


class Publisher:
    """Publishes the metrics of queues and groups, each minute of AWS."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._next: dt.datetime | None = None
        self._held: list[tuple[dt.datetime, tuple[str, Dimensions, t.Mapping[str, float], dt.datetime]]] = []

    def tick(self) -> None:
        """Publish when the minute is over; a fault may hold datapoints back."""
        now = self._world.clock.now()
        for due, point in [entry for entry in self._held if entry[0] <= now]:
            publish(*point)
            self._held.remove((due, point))
        if self._next is not None and now < self._next:
            return
        self._next = now + dt.timedelta(seconds=60 / self._world.settings.speed)
        fault = self._world.faults.peek("metric_delay")
        for point in self._points(now):
            if fault is None:
                publish(*point)
            else:
                self._held.append((now + dt.timedelta(seconds=fault.seconds), point))

    def _points(self, now: dt.datetime) -> t.Iterator[tuple[str, Dimensions, t.Mapping[str, float], dt.datetime]]:
        from local_aws.sqs import service as sqs

        for queue in sqs.queues():
            box = sqs.box_of(queue)
            counts, oldest = box.counts(sqs.now_ms()), box.oldest()
            yield (
                "AWS/SQS",
                {"QueueName": queue.name},
                {
                    "ApproximateNumberOfMessagesVisible": counts["visible"],
                    "ApproximateNumberOfMessagesNotVisible": counts["in_flight"],
                    "ApproximateNumberOfMessagesDelayed": counts["delayed"],
                    "ApproximateAgeOfOldestMessage": 0 if oldest is None else max(0, (sqs.now_ms() - oldest) // 1000),
                },
                now,
            )
        for account, region, name in list(self._world.groups):
            values = self._world.group_metrics(account, region, name)
            if values:
                yield "AWS/AutoScaling", {"AutoScalingGroupName": name}, values, now


def series(
    namespace: str, name: str, dimensions: Dimensions, statistic: str, period: float, end: dt.datetime, length: int
) -> list[float | None]:
    """The statistic of the last ``length`` periods before ``end``, the newest first."""
    found: list[list[t.Any]] = [[] for _unused in range(length)]
    for datum in backend().metric_data:
        if datum.name != name or datum.namespace != namespace or _dimensions(datum) != dimensions:
            continue
        index = math.ceil((end - aware(datum.timestamp)).total_seconds() / period) - 1
        if 0 <= index < length:
            found[index].append(datum)
    return [_statistic(statistic, data) if data else None for data in found]


def _dimensions(datum: t.Any) -> dict[str, str]:
    return {dimension.name: dimension.value for dimension in datum.dimensions}


def _statistic(statistic: str, data: list[t.Any]) -> float:
    count = sum(getattr(datum, "sample_count", 1) for datum in data)
    total = sum(getattr(datum, "sum", getattr(datum, "value", 0.0)) for datum in data)
    if statistic == "SampleCount":
        return float(count)
    if statistic == "Sum":
        return float(total)
    if statistic == "Average":
        return float(total) / count if count else 0.0
    if statistic == "Minimum":
        return float(min(getattr(datum, "min", getattr(datum, "value", math.inf)) for datum in data))
    if statistic.startswith("p"):
        return _percentile(sorted(datum.value for datum in data if hasattr(datum, "value")), float(statistic[1:]))
    return float(max(getattr(datum, "max", getattr(datum, "value", -math.inf)) for datum in data))


def _percentile(values: list[float], share: float) -> float:
    if not values:
        return 0.0
    return float(values[min(len(values) - 1, max(0, math.ceil(share / 100 * len(values)) - 1))])
