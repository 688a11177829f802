# SPDX-License-Identifier: Apache-2.0
"""What the world learns of each finished job: a log line, Prometheus metrics, CloudWatch metrics by the minute."""

from __future__ import annotations

import dataclasses
import threading
import typing as t

import prometheus_client as prometheus

from api_scheduler.aws import AwsFailure, Client, error_code
from api_scheduler.clock import Clock
from api_scheduler.documents.result import ErrorType
from api_scheduler.logs import Log

Outcome = t.Literal["succeeded", "failed", "handed_back"]
_NAMESPACE = "SDInference"
_COUNTS: dict[Outcome, str] = {"succeeded": "JobsSucceeded", "failed": "JobsFailed", "handed_back": "JobsHandedBack"}


@dataclasses.dataclass(frozen=True)
class JobReport:
    """How one job went on this worker."""

    request_id: str
    outcome: Outcome
    error_type: ErrorType | None
    attempt: int
    draw_ms: float
    queue_ms: float
    steps: int
    pixels: int
    smoke: bool
    trace_id: str | None = None


@dataclasses.dataclass
class _Statistic:
    values: list[float] = dataclasses.field(default_factory=list)

    def datum(self, name: str) -> dict[str, t.Any]:
        statistics = {
            "SampleCount": float(len(self.values)),
            "Sum": sum(self.values),
            "Minimum": min(self.values),
            "Maximum": max(self.values),
        }
        return {"MetricName": name, "StatisticValues": statistics, "Unit": "Milliseconds"}


class Reporter:
    """Collects job reports. Nothing that fails in here reaches a job."""

    def __init__(
        self,
        cloudwatch: Client,
        dimensions: t.Mapping[str, str],
        every_seconds: float,
        clock: Clock,
        log: Log,
        release_open: t.Callable[[], bool | None],
    ) -> None:
        self._cloudwatch = cloudwatch
        self._dimensions = [{"Name": name, "Value": value} for name, value in dimensions.items()]
        self._release_open = release_open
        self._every = every_seconds
        self._clock = clock
        self._log = log
        self._lock = threading.Lock()
        self._sequence = 0
        self._reset()
        self.registry = prometheus.CollectorRegistry()
        self._jobs = prometheus.Counter(
            "sd_jobs", "Finished jobs", ("outcome", "error_type", "smoke"), registry=self.registry
        )
        self._draw = prometheus.Histogram(
            "sd_draw_seconds",
            "Time on the drawing thread",
            registry=self.registry,
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
        )
        self._queue = prometheus.Histogram(
            "sd_queue_seconds",
            "Time from sending to receiving",
            registry=self.registry,
            buckets=(0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600),
        )

    @property
    def jobs(self) -> int:
        """Jobs since boot."""
        return self._sequence

    def job(self, report: JobReport) -> None:
        """Report a finished job."""
        with self._lock:
            self._sequence += 1
            sequence = self._sequence
            self._counts[report.outcome] += 1
            self._queue_ms.values.append(report.queue_ms)
            if report.draw_ms:
                self._draw_ms.values.append(report.draw_ms)
        self._jobs.labels(report.outcome, report.error_type or "", str(report.smoke).lower()).inc()
        self._queue.observe(report.queue_ms / 1000)
        if report.draw_ms:
            self._draw.observe(report.draw_ms / 1000)
        fields = dataclasses.asdict(report)
        self._log.line(
            "job",
            **{**fields, "draw_ms": round(report.draw_ms, 3), "queue_ms": round(report.queue_ms, 3)},
            sequence=sequence,
        )

    def run(self, stopped: threading.Event) -> None:
        """Send the metrics at every interval and once at the end: the body of the metrics thread."""
        while not self._clock.wait(stopped, self._every):
            self.flush()

    def flush(self) -> None:
        """Send what was collected to CloudWatch; what cannot be sent is dropped, with a warning."""
        with self._lock:
            data = self._data()
            self._reset()
        mine = [{**datum, "Dimensions": self._dimensions} for datum in data]
        try:
            self._cloudwatch.put_metric_data(Namespace=_NAMESPACE, MetricData=mine + self._of_the_deployment())
        except AwsFailure as error:
            self._log.warning("metrics not sent", code=error_code(error))

    def _of_the_deployment(self) -> list[dict[str, t.Any]]:
        """Whether a release is open, as all workers see it: an alarm says when that lasts too long."""
        release_open = self._release_open()
        if release_open is None:
            return []
        dimensions = [row for row in self._dimensions if row["Name"] == "DeploymentId"]
        return [{"MetricName": "ReleaseOpen", "Value": float(release_open), "Dimensions": dimensions}]

    def prometheus(self) -> bytes:
        """The page for Prometheus."""
        return prometheus.generate_latest(self.registry)

    def _reset(self) -> None:
        self._counts: dict[Outcome, int] = dict.fromkeys(_COUNTS, 0)
        self._draw_ms, self._queue_ms = _Statistic(), _Statistic()

    def _data(self) -> list[dict[str, t.Any]]:
        data: list[dict[str, t.Any]] = [
            {"MetricName": _COUNTS[outcome], "Value": float(count), "Unit": "Count"}
            for outcome, count in self._counts.items()
        ]
        timings = (("DrawMilliseconds", self._draw_ms), ("QueueMilliseconds", self._queue_ms))
        return data + [statistic.datum(name) for name, statistic in timings if statistic.values]
