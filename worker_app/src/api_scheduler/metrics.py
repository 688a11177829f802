# SPDX-License-Identifier: Apache-2.0
"""What is measured: a minute's worth for CloudWatch, and running totals for Prometheus."""

from __future__ import annotations

import collections
import threading
import typing as t

import prometheus_client as prometheus
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

NAMESPACE = "SDInference"
_MOST_VALUES = 150
"""As many different values as one datum of CloudWatch may hold."""
Datum = dict[str, t.Any]


class Minute:
    """Everything since the last time it was taken. Every thread may add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: collections.Counter[str] = collections.Counter()
        self._values: dict[str, collections.Counter[float]] = collections.defaultdict(collections.Counter)
        self._together: collections.Counter[int] = collections.Counter()
        self._busy_seconds = 0.0

    def count(self, name: str, number: int = 1) -> None:
        """So many of these happened."""
        with self._lock:
            self._counts[name] += number

    def value(self, name: str, milliseconds: float) -> None:
        """One of these took so long."""
        # Three digits are plenty, and few enough values to be sent as a distribution: that has percentiles.
        with self._lock:
            self._values[name][float(f"{milliseconds:.3g}")] += 1

    def drew(self, seconds: float, steps: t.Mapping[int, int]) -> None:
        """The drawing thread was busy for so long, and took so many steps, by the pictures that each was taken on."""
        with self._lock:
            self._busy_seconds += seconds
            self._together.update(steps)

    def take(self, seconds: float, counts: t.Iterable[str]) -> list[Datum]:
        """The data of the last so many seconds, each of these counts among them; begins anew."""
        with self._lock:
            counted, values, together, busy = self._counts, self._values, self._together, self._busy_seconds
            self._counts, self._values = collections.Counter(), collections.defaultdict(collections.Counter)
            self._together, self._busy_seconds = collections.Counter(), 0.0
        data: list[Datum] = [
            {"MetricName": name, "Value": float(counted[name]), "Unit": "Count"} for name in sorted({*counts, *counted})
        ]
        for name, distribution in values.items():
            data += _distributions(name, distribution)
        if together:
            data.append(_statistics("BatchSize", together))
        # A step that began before this stretch of time is counted where it ends.
        share = min(100.0, 100 * busy / seconds) if seconds > 0 else 0.0
        return [*data, {"MetricName": "BusyShare", "Value": share, "Unit": "Percent"}]


def _distributions(name: str, distribution: t.Mapping[float, int]) -> t.Iterator[Datum]:
    values = sorted(distribution)
    for first in range(0, len(values), _MOST_VALUES):
        some = values[first : first + _MOST_VALUES]
        counts = [float(distribution[value]) for value in some]
        yield {"MetricName": name, "Values": some, "Counts": counts, "Unit": "Milliseconds"}


def _statistics(name: str, counter: t.Mapping[int, int]) -> Datum:
    statistics = {
        "SampleCount": float(sum(counter.values())),
        "Sum": float(sum(value * count for value, count in counter.items())),
        "Minimum": float(min(counter)),
        "Maximum": float(max(counter)),
    }
    return {"MetricName": name, "StatisticValues": statistics, "Unit": "Count"}


class Together(Collector):
    """Pictures drawn together in a step. The library's own histogram takes in one at a time: that costs a step more
    than all else of which the drawing thread keeps account."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: collections.Counter[int] = collections.Counter()

    def add(self, steps: t.Mapping[int, int]) -> None:
        """So many steps, by the pictures that each was taken on."""
        with self._lock:
            self._steps.update(steps)

    def collect(self) -> t.Iterator[HistogramMetricFamily]:
        """The histogram as it stands."""
        with self._lock:
            steps = dict(self._steps)
        buckets = [
            (name, float(sum(count for pictures, count in steps.items() if pictures <= float(name))))
            for name in ("1.0", "2.0", "4.0", "8.0", "16.0", "32.0", "+Inf")
        ]
        total = float(sum(pictures * count for pictures, count in steps.items()))
        yield HistogramMetricFamily("sd_batch_pictures", "Pictures drawn together in one step", buckets, total)


class Totals:
    """Since boot, for Prometheus."""

    def __init__(self, names: t.Mapping[str, str]) -> None:
        self.registry = registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=registry)
        prometheus.Info("sd_worker", "Who this worker is", registry=registry).info(dict(names))
        self.jobs = prometheus.Counter(
            "sd_jobs", "Finished jobs", ("outcome", "error_type", "smoke"), registry=registry
        )
        self.expired = prometheus.Counter(
            "sd_expired", "Requests whose time had passed before they were drawn", registry=registry
        )
        self.flagged = prometheus.Counter(
            "sd_flagged_pictures", "Pictures that the safety checker has blackened", registry=registry
        )
        self.draw = prometheus.Histogram(
            "sd_draw_seconds",
            "Time from giving a job to the drawing thread to its end",
            registry=registry,
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
        )
        self.queue = prometheus.Histogram(
            "sd_queue_seconds",
            "Time from sending to receiving",
            registry=registry,
            buckets=(0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600),
        )
        self.busy = prometheus.Counter(
            "sd_draw_busy_seconds", "Time that the drawing thread has worked", registry=registry
        )
        self.together = Together()
        registry.register(self.together)

    def page(self) -> bytes:
        """The page that Prometheus reads."""
        return prometheus.generate_latest(self.registry)
