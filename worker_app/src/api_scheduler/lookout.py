# SPDX-License-Identifier: Apache-2.0
"""Looks after drawings under way, on a thread of its own: has somebody answered meanwhile, and how far is it?

A request that has its answer need not be drawn any more: its client has cancelled it, or another worker was faster.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
import typing as t

from api_scheduler.aws import AwsFailure, error_code
from api_scheduler.clock import Clock, iso
from api_scheduler.documents.result import Worker
from api_scheduler.drawing import Ongoing
from api_scheduler.logs import Log
from api_scheduler.store import Kept, Store

_SHORTEST_ROUND, _LONGEST_ROUND = 0.05, 1.0
_LINGER_SECONDS = 2.0
SCHEMA = 1


@dataclasses.dataclass(eq=False)
class Watched:
    """A drawing under way."""

    request_id: str
    message_id: str
    attempt: int
    ongoing: Ongoing
    replaces: Kept | None
    """The answer that this drawing is to replace: another one ends it."""
    looked: float = 0.0
    told: float = 0.0
    on_record: bool = False


class Lookout:
    """Has an eye on every drawing. Nothing that fails in here reaches a job."""

    def __init__(
        self, store: Store, worker: Worker, answer_seconds: float, progress_seconds: float, clock: Clock, log: Log
    ) -> None:
        self._store = store
        self._worker = worker
        self._answer_seconds = answer_seconds
        self._progress_seconds = progress_seconds
        self._clock = clock
        self._log = log
        self._watched: set[Watched] = set()
        self._drawn: list[tuple[str, float]] = []
        """What was drawn to its end, and when: it counts as running until its result is there."""
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def over(self, watched: Watched) -> t.Iterator[None]:
        """Watch it for so long. Its future is cancelled when there is an answer."""
        watched.looked = watched.told = self._clock.monotonic()
        with self._lock:
            self._watched.add(watched)
        try:
            yield
        finally:
            with self._lock:
                self._watched.discard(watched)
                if watched.on_record and _drawn(watched):
                    self._drawn.append((watched.request_id, self._clock.monotonic()))
                    watched.on_record = False
            if watched.on_record:
                self._forget(watched.request_id)

    def run(self, stopped: threading.Event) -> None:
        """Look until stopped: the body of the lookout thread."""
        intervals = [seconds for seconds in (self._answer_seconds, self._progress_seconds) if seconds]
        pause = max(_SHORTEST_ROUND, min([_LONGEST_ROUND, *(seconds / 4 for seconds in intervals)]))
        while not self._clock.wait(stopped, pause):
            self.look()
        self._forget_drawn(0.0)

    def look(self) -> None:
        """One round: whatever is due."""
        self._forget_drawn(_LINGER_SECONDS)
        with self._lock:
            watched = list(self._watched)
        for one in watched:
            now = self._clock.monotonic()
            if self._answer_seconds and now - one.looked >= self._answer_seconds:
                one.looked = now
                self._quietly("answer not looked for", functools.partial(self._look_for_answer, one))
            if self._progress_seconds and now - one.told >= self._progress_seconds and one.ongoing.began is not None:
                one.told = now
                self._quietly("progress not told", functools.partial(self._tell, one))

    def _look_for_answer(self, one: Watched) -> None:
        kept = self._store.result(one.request_id)
        if kept is None or (one.replaces is not None and kept.etag == one.replaces.etag):
            return
        if one.ongoing.future.cancel():
            self._log.info("drawing stopped: answered meanwhile", request_id=one.request_id, steps=one.ongoing.steps)

    def _tell(self, one: Watched) -> None:
        with self._lock:
            if one not in self._watched:
                return
            one.on_record = True
        ongoing = one.ongoing
        document = {
            "schema": SCHEMA,
            "id": one.request_id,
            "message_id": one.message_id,
            "attempt": one.attempt,
            "step": min(ongoing.steps, ongoing.job.all_steps),
            "steps": ongoing.job.all_steps,
            "instance_id": self._worker.instance_id,
            "release_id": self._worker.release_id,
            "every_seconds": self._progress_seconds,
            "at": iso(self._clock.now()),
        }
        self._store.put_progress(one.request_id, document)
        with self._lock:
            ended = one not in self._watched
        if ended:  # while this was written: nobody else removes it now
            self._store.delete_progress(one.request_id)

    def _forget_drawn(self, linger_seconds: float) -> None:
        now = self._clock.monotonic()
        with self._lock:
            over = [request_id for request_id, at in self._drawn if now - at >= linger_seconds]
            self._drawn = [(request_id, at) for request_id, at in self._drawn if now - at < linger_seconds]
        for request_id in over:
            self._forget(request_id)

    def _forget(self, request_id: str) -> None:
        self._quietly("progress not removed", lambda: self._store.delete_progress(request_id))

    def _quietly(self, message: str, call: t.Callable[[], None]) -> None:
        try:
            call()
        except AwsFailure as error:
            self._log.warning(message, code=error_code(error))
        except Exception as error:  # noqa: BLE001 no look is worth a worker
            self._log.warning(message, error=type(error).__name__)


def _drawn(watched: Watched) -> bool:
    future = watched.ongoing.future
    return future.done() and not future.cancelled() and future.exception() is None
