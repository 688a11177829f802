# SPDX-License-Identifier: Apache-2.0
"""The instance's lifecycle: tells Auto Scaling when it is ready, and drains when the instance is to go."""

from __future__ import annotations

import datetime as dt
import json
import threading
import typing as t

from api_scheduler.aws import AwsFailure, Client, error_code
from api_scheduler.clock import Clock
from api_scheduler.identity import Metadata, MetadataUnavailable
from api_scheduler.life import Life, State
from api_scheduler.logs import Log

LAUNCH, TERMINATE = "launch", "terminate"
_TERMINATED = "Terminated"
_LAUNCH_TRY_SECONDS = 120.0
_HEARTBEAT_SECONDS = 10.0
_LAST_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)
Answer = t.Literal["taken", "not waiting", "unknown"]
"""What came of answering a hook: ``unknown`` when Auto Scaling could not be asked."""
_SPOT_MARGIN_SECONDS = 10.0


class LifecycleHooks:
    """The two hooks of the instance's group. A hook that does not exist, or is not waiting, is no error."""

    def __init__(self, autoscaling: Client, group: str, instance_id: str, log: Log) -> None:
        self._autoscaling = autoscaling
        self._names = {"AutoScalingGroupName": group, "InstanceId": instance_id}
        self._group = group
        self._log = log

    def complete(self, hook: str, result: t.Literal["CONTINUE", "ABANDON"]) -> Answer:
        """Answer a hook."""
        answer = self._call(self._autoscaling.complete_lifecycle_action, hook, LifecycleActionResult=result)
        if answer == "taken":
            self._log.info("lifecycle hook completed", hook=hook, result=result)
        return answer

    def heartbeat(self, hook: str) -> Answer:
        """Give a waiting hook its full time again."""
        return self._call(self._autoscaling.record_lifecycle_action_heartbeat, hook)

    def exist(self) -> bool:
        """Whether the instance has a group, and so may have hooks."""
        return bool(self._group)

    def _call(self, call: t.Callable[..., t.Any], hook: str, **more: str) -> Answer:
        if not self._group:
            return "not waiting"
        try:
            call(LifecycleHookName=hook, **self._names, **more)
        except AwsFailure as error:
            if error_code(error) == "ValidationError":
                return "not waiting"
            self._log.warning("lifecycle hook not answered", hook=hook, code=error_code(error))
            return "unknown"
        return "taken"


class Watcher:
    """Polls the metadata service for what is to become of the instance."""

    def __init__(
        self,
        hooks: LifecycleHooks,
        metadata: Metadata,
        life: Life,
        hangs: t.Callable[[], bool],
        clock: Clock,
        log: Log,
    ) -> None:
        self._hooks = hooks
        self._metadata = metadata
        self._life = life
        self._hangs = hangs
        self._clock = clock
        self._log = log
        self._warm_at: float | None = None
        self._launched = False
        self._terminating = False
        self._beat_at = 0.0
        self._lock = threading.Lock()

    def run(self, stopped: threading.Event, every_seconds: float) -> None:
        """Poll until stopped: the body of the watcher thread."""
        while not self._clock.wait(stopped, every_seconds):
            self.look()

    def look(self) -> None:
        """One poll."""
        self._notice_fate()
        self._answer_launch()
        if self._terminating and not self._hangs() and self._beat_due():
            self._hooks.heartbeat(TERMINATE)

    def leaving(self) -> bool:
        """Whether the instance is to go, asked afresh."""
        self._notice_fate()
        return self._life.draining.is_set()

    def warmed_up(self) -> None:
        """The warm-up picture is drawn: the launch may go on."""
        self._warm_at = self._clock.monotonic()
        self._answer_launch()

    def failed_to_warm_up(self) -> None:
        """The instance will never draw: its launch is given up, without waiting for the hook's time to pass."""
        self._insist(LAUNCH, "ABANDON", ("unknown",))

    def finish(self) -> None:
        """The worker has drained: the termination may go on."""
        self._notice_fate()
        if self._terminating and self._hooks.exist():
            # Also while the hook does not wait yet: the group may be slower than a worker that had nothing to finish.
            self._insist(TERMINATE, "CONTINUE", ("unknown", "not waiting"))

    def _insist(self, hook: str, result: t.Literal["CONTINUE", "ABANDON"], on: tuple[Answer, ...]) -> None:
        # Nobody answers after this process: without an answer the instance stays until the hook's time has passed.
        for pause in _LAST_PAUSES:
            if self._hooks.complete(hook, result) not in on:
                return
            self._clock.wait(threading.Event(), pause)
        self._hooks.complete(hook, result)

    def _answer_launch(self) -> None:
        # The worker may be faster than the group: until the hook waits, its answer is refused and given again.
        with self._lock:
            if self._launched or self._warm_at is None:
                return
            answer = self._hooks.complete(LAUNCH, "CONTINUE")
            late = self._clock.monotonic() - self._warm_at > _LAUNCH_TRY_SECONDS
            self._launched = answer == "taken" or (answer == "not waiting" and late)

    def _beat_due(self) -> bool:
        now = self._clock.monotonic()
        if self._life.state is State.STOPPED or now - self._beat_at < _HEARTBEAT_SECONDS:
            return False
        self._beat_at = now
        return True

    def _notice_fate(self) -> None:
        try:
            if not self._terminating and self._metadata.target_lifecycle_state() == _TERMINATED:
                self._terminating = True
                self._life.start_draining("termination", None)
            notice = None if self._life.draining.is_set() else self._metadata.spot_action()
        except MetadataUnavailable as error:
            self._log.warning("metadata not read", reason=str(error))
            return
        if notice:
            self._life.start_draining("spot", seconds_left(notice, self._clock.now()))


def seconds_left(notice: str, now: dt.datetime) -> float:
    """Until the instance is taken away, less a margin; two minutes where the notice cannot be read."""
    try:
        at = dt.datetime.fromisoformat(json.loads(notice)["time"].replace("Z", "+00:00"))
        left = (at - now).total_seconds()
    except (ValueError, KeyError, TypeError, AttributeError):
        left = 120.0
    return max(0.0, left - _SPOT_MARGIN_SECONDS)
