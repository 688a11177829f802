# SPDX-License-Identifier: Apache-2.0
"""The one thread that draws. Two threads on one pipeline corrupt each other's scheduler."""

from __future__ import annotations

import queue
import threading
import typing as t
from concurrent.futures import Future

from api_scheduler.documents.drawing import Drawing
from api_scheduler.engines.base import Engine, Picture
from api_scheduler.progress import Progress

_Task = tuple[t.Callable[[], t.Any], "Future[t.Any]"]


class DrawThread:
    """Runs the engine. Every step of a drawing is progress."""

    def __init__(self, engine: Engine, progress: Progress) -> None:
        self._engine = engine
        self.progress = progress
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="draw", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end after its present work."""
        self._tasks.put(None)

    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def load(self) -> Future[None]:
        """Load the engine. It shows no progress on the way, so it is not watched for any."""
        return self._submit(self._engine.load)

    def warm_up(self) -> Future[Picture]:
        """Draw the warm-up picture."""
        return self._submit(lambda: self._watched(lambda: self._engine.warm_up(self.progress.moved)))

    def draw(self, job: Drawing) -> Future[list[Picture]]:
        """Draw a job's pictures."""
        return self._submit(lambda: self._watched(lambda: self._engine.draw([job], self.progress.moved)[0]))

    def _submit(self, work: t.Callable[[], t.Any]) -> Future[t.Any]:
        future: Future[t.Any] = Future()
        self._tasks.put((work, future))
        return future

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            work, future = task
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 whatever ends a job, the thread goes on to the next one
                future.set_exception(error)

    def _watched(self, work: t.Callable[[], t.Any]) -> t.Any:
        self.progress.moved()
        try:
            return work()
        finally:
            self.progress.done()
