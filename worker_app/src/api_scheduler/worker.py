# SPDX-License-Identifier: Apache-2.0
"""The main loop: warm up, take messages while ready, drain, stop."""

from __future__ import annotations

import threading
import typing as t
from concurrent.futures import Future

from api_scheduler import intake
from api_scheduler.aws import AwsFailure, error_code
from api_scheduler.clock import Clock
from api_scheduler.drawing import DrawThread
from api_scheduler.engines.base import checked
from api_scheduler.hands import Hands, Stage
from api_scheduler.hooks import Watcher
from api_scheduler.jobs import Jobs
from api_scheduler.life import Life, State
from api_scheduler.logs import Log
from api_scheduler.protection import Protection
from api_scheduler.queues import Message, Queue

_SMOKE_WAIT_SECONDS = 5
_RECEIVE_PAUSES = (1.0, 2.0, 5.0, 10.0)
_LOOK_SECONDS = 0.5


class Worker:
    """Takes as many messages as can be drawn soon. Smoke requests and real ones take turns, so that both flow."""

    def __init__(
        self,
        tasks: Queue,
        smoke: Queue,
        wait_seconds: int,
        visibility_seconds: int,
        jobs: Jobs,
        hands: Hands,
        draw_thread: DrawThread,
        life: Life,
        watcher: Watcher,
        protection: Protection,
        clock: Clock,
        log: Log,
    ) -> None:
        self._tasks = tasks
        self._smoke = smoke
        self._wait = wait_seconds
        self._visibility = visibility_seconds
        self._jobs = jobs
        self._hands = hands
        self._draw_thread = draw_thread
        self._life = life
        self._watcher = watcher
        self._protection = protection
        self._clock = clock
        self._log = log
        self._failures = 0
        self._ramp = intake.Ramp()
        self._after_smoke = False

    def run(self) -> int:
        """The whole life; the exit status."""
        status = 0
        try:
            if self._warm_up():
                self._work()
                self._finish()
            elif not self._life.draining.is_set():
                status = 1
            self._watcher.finish()
        finally:
            self._life.enter(State.STOPPED)
        return status

    def _warm_up(self) -> bool:
        """Load and draw a real picture; whether the worker may take requests."""
        self._life.enter(State.WARMING)
        try:
            loaded = self._await(self._draw_thread.load())
            if loaded and self._await(warm := self._draw_thread.warm_up()):
                checked(warm.result())
                self._watcher.warmed_up()
                self._life.enter(State.READY)
                return True
        except Exception as error:  # noqa: BLE001 whatever keeps the engine from drawing ends this worker
            self._log.error("cannot draw", error=f"{type(error).__name__}: {error}"[:1000])
            self._watcher.failed_to_warm_up()
        return False

    def _await(self, future: Future[t.Any]) -> bool:
        """Wait for the future and raise what it raised; False when the worker is to stop first."""
        done = threading.Event()
        future.add_done_callback(lambda _future: done.set())
        while not self._clock.wait(done, _LOOK_SECONDS):
            if self._life.draining.is_set():
                return False
        future.result()
        return True

    def _work(self) -> None:
        while not self._life.draining.is_set():
            if self._appetite() > 0:
                self._look()
            else:
                self._hands.wait(_LOOK_SECONDS)

    def _look(self) -> None:
        """Look into both queues. Where there is room for one message only, they take turns."""
        after_smoke, self._after_smoke = self._after_smoke, False
        if not after_smoke and self._turn(self._smoke, 0, 1):
            self._after_smoke = after_smoke = True
            if self._appetite() < 1:
                return
        if self._life.draining.is_set():
            return
        self._after_smoke = False
        asked = self._ramp.ask(self._appetite())
        found = self._turn(self._tasks, self._poll_seconds(after_smoke), asked)
        self._ramp.got(asked, found)
        if found or after_smoke:
            return
        if self._hands.empty():
            self._idle()
        if not self._tasks.known():
            # A queue that is not there answers at once, and is looked for again only now and then.
            self._clock.wait(self._life.draining, _LOOK_SECONDS)

    def _appetite(self) -> int:
        hands, draw_thread = self._hands, self._draw_thread
        if hands.one_alone():
            return 0
        deciding, waiting = hands.count(Stage.DECIDING), hands.count(Stage.ANSWERING) + hands.count(Stage.PARKED)
        return intake.appetite(draw_thread.room(), deciding, draw_thread.in_line(), waiting)

    def _poll_seconds(self, after_smoke: bool) -> int:
        if after_smoke:
            return 0
        return min(self._wait, _SMOKE_WAIT_SECONDS) if self._smoke.known() else self._wait

    def _turn(self, queue: Queue, wait_seconds: int, count: int) -> int:
        """Take messages of this queue; how many there were."""
        messages = self._receive(queue, wait_seconds, count)
        for message in messages:
            if self._life.draining.is_set():
                self._jobs.return_untouched(message)
                continue
            self._life.enter(State.BUSY)
            self._protection.want(True)
            self._jobs.begin(message)
        return len(messages)

    def _receive(self, queue: Queue, wait_seconds: int, count: int) -> list[Message]:
        try:
            messages = queue.receive(wait_seconds, self._visibility, count)
            self._failures = 0
            return messages
        except AwsFailure as error:
            pause = _RECEIVE_PAUSES[min(self._failures, len(_RECEIVE_PAUSES) - 1)]
            self._failures += 1
            self._log.warning("queue not read", code=error_code(error), seconds=pause)
            self._clock.wait(self._life.draining, pause)
            return []

    def _finish(self) -> None:
        """Wait for the end of every message in hand, but not for what hangs."""
        while not self._hands.empty() and not (self._life.overdue() and self._hands.all_hang()):
            self._hands.wait(_LOOK_SECONDS)

    def _idle(self) -> None:
        self._protection.want(False)
        self._life.enter(State.READY)
