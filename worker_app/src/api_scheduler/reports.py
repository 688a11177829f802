# SPDX-License-Identifier: Apache-2.0
"""What the world learns of each finished job: a log line, Prometheus metrics, CloudWatch metrics by the minute."""

from __future__ import annotations

import dataclasses
import re
import threading
import typing as t

from api_scheduler.aws import AwsFailure, Client, error_code
from api_scheduler.clock import Clock
from api_scheduler.documents.result import ErrorType
from api_scheduler.logs import Log
from api_scheduler.metrics import NAMESPACE, Minute, Totals

Outcome = t.Literal["succeeded", "failed", "handed_back"]
_COUNTS: dict[Outcome, str] = {"succeeded": "JobsSucceeded", "failed": "JobsFailed", "handed_back": "JobsHandedBack"}
_EXPIRED, _OUT_OF_MEMORY, _FLAGGED = "JobsExpired", "OutOfMemory", "PicturesFlagged"


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
    prompts: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """As the log may tell them: empty unless SD_LOG_PROMPTS allows it."""


class Reporter:
    """Collects what happens. Nothing that fails in here reaches a job."""

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
        self._sent_at = clock.monotonic()
        self._minute = Minute()
        self._totals = Totals({_snake(name): value for name, value in dimensions.items()})

    @property
    def jobs(self) -> int:
        """Jobs since boot."""
        return self._sequence

    def job(self, report: JobReport) -> None:
        """Report a finished job."""
        with self._lock:
            self._sequence += 1
            sequence = self._sequence
        self._minute.count(_COUNTS[report.outcome])
        self._minute.count(_OUT_OF_MEMORY, report.error_type == "out_of_memory")
        self._minute.value("QueueMilliseconds", report.queue_ms)
        self._totals.jobs.labels(report.outcome, report.error_type or "", str(report.smoke).lower()).inc()
        self._totals.queue.observe(report.queue_ms / 1000)
        if report.draw_ms:
            self._minute.value("DrawMilliseconds", report.draw_ms)
            self._totals.draw.observe(report.draw_ms / 1000)
        fields = dataclasses.asdict(report)
        prompts = fields.pop("prompts")
        self._log.line(
            "job",
            **{**fields, "draw_ms": round(report.draw_ms, 3), "queue_ms": round(report.queue_ms, 3)},
            sequence=sequence,
            **prompts,
        )

    def expired(self) -> None:
        """A request's time had passed before it was drawn: that is no job."""
        self._minute.count(_EXPIRED)
        self._totals.expired.inc()

    def flagged(self, pictures: int) -> None:
        """So many pictures of a job were blackened."""
        self._minute.count(_FLAGGED, pictures)
        self._totals.flagged.inc(pictures)

    def drew(self, seconds: float, steps: t.Mapping[int, int]) -> None:
        """The drawing thread has worked for so long and taken so many steps, by the pictures that each was taken on."""
        self._minute.drew(seconds, steps)
        self._totals.busy.inc(seconds)
        self._totals.together.add(steps)

    def run(self, stopped: threading.Event) -> None:
        """Send the metrics at every interval and once at the end: the body of the metrics thread."""
        while not self._clock.wait(stopped, self._every):
            self.flush()

    def flush(self) -> None:
        """Send what was collected to CloudWatch; what cannot be sent is dropped, with a warning."""
        now = self._clock.monotonic()
        data = self._minute.take(now - self._sent_at, (*_COUNTS.values(), _EXPIRED, _OUT_OF_MEMORY, _FLAGGED))
        self._sent_at = now
        mine = [{**datum, "Dimensions": self._dimensions} for datum in data]
        try:
            self._cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=mine + self._of_the_deployment())
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
        return self._totals.page()


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
