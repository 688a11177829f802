# SPDX-License-Identifier: Apache-2.0
"""The life of a worker: its states, and why and until when it drains."""

from __future__ import annotations

import dataclasses
import enum
import threading

from api_scheduler.clock import Clock
from api_scheduler.logs import Log


class State(enum.StrEnum):
    """Where the worker is in its life."""

    STARTING = "starting"
    WARMING = "warming"
    READY = "ready"
    BUSY = "busy"
    DRAINING = "draining"
    STOPPED = "stopped"


_ORDER = list(State)


@dataclasses.dataclass(frozen=True)
class Drain:
    """Why the worker stops taking, and when (monotonic) it must have stopped; None: when its job is done."""

    reason: str
    deadline: float | None


class Life:
    """The state, shared by all threads. Draining and stopped are never left for an earlier state."""

    def __init__(self, clock: Clock, log: Log) -> None:
        self._clock = clock
        self._log = log
        self._lock = threading.RLock()
        self._state = State.STARTING
        self._drain: Drain | None = None
        self.broken = False
        """Whether this process can no longer be trusted and a fresh one should take its place."""
        self.draining = threading.Event()
        self.stopped = threading.Event()

    @property
    def state(self) -> State:
        """The present state."""
        return self._state

    def takes(self) -> bool:
        """Whether the worker takes requests."""
        return self._state in (State.READY, State.BUSY)

    @property
    def drain(self) -> Drain | None:
        """Why the worker drains, None while it does not."""
        return self._drain

    def enter(self, state: State) -> None:
        """Change the state and log it; an earlier state than draining is ignored once draining."""
        with self._lock:
            settled = _ORDER.index(self._state) >= _ORDER.index(State.DRAINING)
            if state == self._state or (settled and _ORDER.index(state) < _ORDER.index(self._state)):
                return
            self._state = state
            self._log.line("state", state=state.value, reason=self._drain.reason if self._drain else None)
            if state is State.STOPPED:
                self.stopped.set()

    def start_draining(self, reason: str, seconds: float | None) -> None:
        """Stop taking; with ``seconds``, be done by then. An earlier deadline is kept."""
        deadline = None if seconds is None else self._clock.monotonic() + seconds
        with self._lock:
            if self._drain is not None and self._drain.deadline is not None:
                deadline = min(self._drain.deadline, deadline) if deadline is not None else self._drain.deadline
            self._drain = Drain(self._drain.reason if self._drain else reason, deadline)
            self.draining.set()
            self.enter(State.DRAINING)

    def break_down(self, reason: str, seconds: float) -> None:
        """Drain because of a fault in this process: it is unhealthy from now on and ends with a bad status."""
        self.broken = True
        self.start_draining(reason, seconds)

    def overdue(self) -> bool:
        """Whether the drain's deadline has passed."""
        drain = self._drain
        return drain is not None and drain.deadline is not None and self._clock.monotonic() >= drain.deadline
