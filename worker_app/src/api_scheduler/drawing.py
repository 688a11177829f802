# SPDX-License-Identifier: Apache-2.0
"""The one thread that draws. Two threads on one pipeline corrupt each other's scheduler."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import queue
import threading
import typing as t
from concurrent.futures import Future, InvalidStateError

from api_scheduler.clock import Clock
from api_scheduler.documents.drawing import Drawing
from api_scheduler.engines.base import Drawn, Engine, EngineLost, Picture
from api_scheduler.progress import Progress

_REPORT_SECONDS = 1.0


@dataclasses.dataclass(frozen=True, eq=False)
class Pictures:
    """What was drawn for a job, and what that took."""

    pictures: list[Picture]
    engine_ms: float
    """From the job's beginning in the engine to its end."""
    share_ms: float
    """Its part of that: a step's time is divided among all that are drawn in it."""
    together: float
    """How many jobs were in work with it, itself included: the mean over its steps."""
    flagged: tuple[bool, ...] = ()
    """Of each picture, whether the safety checker has blackened it; empty where there is none."""


class DrawFailed(Exception):
    """A drawing came to nothing. ``cause`` is what the engine said."""

    def __init__(self, cause: BaseException, share_ms: float) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.cause = cause
        self.share_ms = share_ms


@dataclasses.dataclass(eq=False)
class Ongoing:
    """A job on its way through the thread. Its future fails with DrawFailed; cancelled, it takes the job out."""

    job: Drawing
    future: Future[Pictures]
    began: float | None = None
    """When it was begun; None while it waits for its turn."""
    steps: int = 0
    """Steps of the engine since then."""
    share_seconds: float = 0.0
    company: int = 0
    """Jobs in work, itself included, summed over its steps."""
    passed_over: bool = False
    """Whether others were begun before it, because it did not fit: that happens once."""
    _taken: bool = False
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    @property
    def taken(self) -> bool:
        """Whether the drawing thread has begun with it: from here on it may be what hangs the engine."""
        return self._taken

    def take_up(self) -> bool:
        """Begin with it, for the drawing thread; False when it was withdrawn or cancelled before."""
        with self._lock:
            self._taken = not self.future.cancelled()
            return self._taken

    def withdraw(self) -> bool:
        """Cancel it if nobody has begun with it; whether that was so. What was begun is not begun again elsewhere."""
        with self._lock:
            return not self._taken and self.future.cancel()


_Call = tuple[t.Callable[[], t.Any], "Future[t.Any]"]


class DrawThread:
    """Runs the engine: begins every job that fits, takes steps, resolves the jobs' futures."""

    def __init__(
        self,
        engine: Engine,
        progress: Progress,
        clock: Clock,
        changed: t.Callable[[], None] = lambda: None,
        drew: t.Callable[[float, t.Mapping[int, int]], None] = lambda _seconds, _steps: None,
    ) -> None:
        """``drew`` is told now and then for how many seconds it has drawn, and how many steps by their pictures."""
        self._engine = engine
        self._drew = drew
        self.progress = progress
        self._clock = clock
        self._changed = changed
        self._arrivals: queue.SimpleQueue[_Call | Ongoing | None] = queue.SimpleQueue()
        self._line: list[Ongoing] = []
        self._in_work: dict[object, Ongoing] = {}
        self._stopping = False
        self._room = 1
        self._thread = threading.Thread(target=self._run, name="draw", daemon=True)
        self.busy_seconds = 0.0
        """How long the thread has drawn."""
        self._steps: collections.Counter[int] = collections.Counter()
        self._reported_at, self._reported = 0.0, 0.0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end once what it has begun is drawn."""
        self._arrivals.put(None)

    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def room(self) -> int:
        """About how many more jobs could be begun now."""
        return self._room

    def in_line(self) -> int:
        """How many jobs wait to be begun."""
        return self._arrivals.qsize() + len(self._line)

    def in_work(self) -> int:
        """How many jobs are begun and not yet drawn."""
        return len(self._in_work)

    def load(self) -> Future[None]:
        """Load the engine. It shows no progress on the way, so it is not watched for any."""
        return self._call(self._engine.load)

    def warm_up(self) -> Future[Picture]:
        """Draw the warm-up picture."""
        return self._call(self._warm_up)

    def draw(self, job: Drawing) -> Ongoing:
        """Draw a job's pictures."""
        ongoing = Ongoing(job, Future())
        self._arrivals.put(ongoing)
        return ongoing

    def _call(self, work: t.Callable[[], t.Any]) -> Future[t.Any]:
        future: Future[t.Any] = Future()
        self._arrivals.put((work, future))
        return future

    # -- on the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping or self._in_work:
            self._arrive()
            self._forget_cancelled()
            self._begin()
            if self._in_work:
                self._step()
        self._report()

    def _tell(self) -> None:
        """Something has changed. The engine's room is read here, on its own thread: it moves while it draws."""
        self._room = self._engine.room
        self._changed()

    def _arrive(self) -> None:
        """Take in what has come; wait for it while there is nothing to do."""
        if not self._line and not self._in_work:
            self.progress.done()
            self._report()
            self._take(self._arrivals.get())
        while not self._arrivals.empty():
            self._take(self._arrivals.get())

    def _take(self, arrival: _Call | Ongoing | None) -> None:
        if arrival is None:
            self._stopping = True
        elif isinstance(arrival, Ongoing):
            self._line.append(arrival)
        else:
            work, future = arrival
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 no library's exit may end the one thread that draws
                future.set_exception(error)
            self._tell()

    def _warm_up(self) -> Picture:
        self.progress.moved()
        try:
            return self._engine.warm_up(self.progress.moved)
        finally:
            self.progress.done()

    def _forget_cancelled(self) -> None:
        self._line = [ongoing for ongoing in self._line if not ongoing.future.cancelled()]
        for key in [key for key, ongoing in self._in_work.items() if ongoing.future.cancelled()]:
            del self._in_work[key]
            self._engine.drop(key)
            self._tell()

    def _begin(self) -> None:
        """Begin what fits, in order. Those behind a job that does not fit may overtake it once: it never starves."""
        left: list[Ongoing] = []
        for ongoing in self._line:
            if self._stopping or (left and left[0].passed_over) or not self._begun(ongoing):
                left.append(ongoing)
        for ongoing in left:
            ongoing.passed_over = True
        begun = len(left) < len(self._line)
        self._line = left
        if begun:
            self._tell()

    def _begun(self, ongoing: Ongoing) -> bool:
        """Begin the job if it fits; whether it is off the line."""
        since = self._clock.monotonic()
        self.progress.moved()  # from here on it is watched: taking a job in may hang as a step may
        try:
            if not self._engine.fits(ongoing.job):
                return False
            if not ongoing.take_up():
                return True
            self._engine.begin(ongoing, ongoing.job)
        except BaseException as error:  # noqa: BLE001 no library's exit may end the one thread that draws
            self._fail(ongoing, error)
            return True
        ongoing.began = since
        ongoing.share_seconds = self._clock.monotonic() - since
        self.busy_seconds += ongoing.share_seconds
        self._in_work[ongoing] = ongoing
        return True

    def _step(self) -> None:
        since = self._clock.monotonic()
        self.progress.moved()
        try:
            drawn = self._engine.step(self.progress.moved)
        except BaseException as error:  # noqa: BLE001 no library's exit may end the one thread that draws
            drawn = [Drawn(key, error=error) for key in self._in_work]
            for key in self._in_work:
                self._engine.drop(key)
        now = self._clock.monotonic()
        self._count(now - since)
        if now - self._reported_at >= _REPORT_SECONDS:
            self._report()
        for one in drawn:
            self._end(one)
        if drawn:
            self._tell()

    def _count(self, seconds: float) -> None:
        """Divide a step's time among the jobs in work, by the pictures that each has in it."""
        self.busy_seconds += seconds
        weights = {key: min(one.job.batch_size, len(one.job.seeds)) for key, one in self._in_work.items()}
        pictures = sum(weights.values())
        self._steps[pictures] += 1
        for key, weight in weights.items():
            ongoing = self._in_work[key]
            ongoing.steps += 1
            ongoing.company += len(weights)
            ongoing.share_seconds += seconds * weight / pictures

    def _report(self) -> None:
        """Tell what was drawn since the last time. After each step that would cost more than all else between two."""
        seconds, steps = self.busy_seconds - self._reported, self._steps
        self._reported_at, self._reported = self._clock.monotonic(), self.busy_seconds
        self._steps = collections.Counter()
        if seconds or steps:
            self._drew(seconds, steps)

    def _end(self, drawn: Drawn) -> None:
        ongoing = self._in_work.pop(drawn.key)
        if drawn.error is not None:
            self._fail(ongoing, drawn.error)
            return
        engine_ms = (self._clock.monotonic() - (ongoing.began or 0.0)) * 1000
        together = ongoing.company / ongoing.steps
        _resolve(ongoing, Pictures(drawn.pictures, engine_ms, ongoing.share_seconds * 1000, together, drawn.flagged))

    def _fail(self, ongoing: Ongoing, cause: BaseException) -> None:
        if isinstance(cause, EngineLost):
            self._stopping = True  # each job that was begun now would fail as well
        with contextlib.suppress(InvalidStateError):  # cancelled in this very moment
            ongoing.future.set_exception(DrawFailed(cause, ongoing.share_seconds * 1000))


def _resolve(ongoing: Ongoing, pictures: Pictures) -> None:
    with contextlib.suppress(InvalidStateError):  # cancelled in this very moment
        ongoing.future.set_result(pictures)
