# SPDX-License-Identifier: Apache-2.0
"""The messages in hand: how far each is, and whether it moves."""

from __future__ import annotations

import contextlib
import enum
import threading
import typing as t

from api_scheduler.clock import Clock
from api_scheduler.progress import Progress
from api_scheduler.queues import Message


class Stage(enum.Enum):
    """How far a message is."""

    DECIDING = enum.auto()
    """It is read, and looked up."""
    PARKED = enum.auto()
    """It waits for another message: one with the same id, or one that is drawn alone."""
    DRAWING = enum.auto()
    """It is with the drawing thread."""
    ANSWERING = enum.auto()


class Hand:
    """One message in hand, with a thread of its own."""

    def __init__(self, message: Message, clock: Clock, limit_seconds: float) -> None:
        self.message = message
        self.progress = Progress(clock, limit_seconds)
        self.progress.moved()
        self.stage = Stage.DECIDING
        self.claims: set[str] = set()
        self.rung = threading.Event()
        self._clock = clock

    def pause(self, seconds: float) -> None:
        """Wait for a change among the messages in hand since the last pause, at most that long."""
        self._clock.wait(self.rung, seconds)
        self.rung.clear()


class Hands:
    """All messages in hand."""

    def __init__(self, clock: Clock, limit_seconds: float) -> None:
        self._clock = clock
        self._limit = limit_seconds
        self._held: list[Hand] = []
        self._claims: dict[str, Hand] = {}
        self._alone: Hand | None = None
        self._lock = threading.Lock()
        self._local = threading.local()
        self._changed = threading.Event()

    def take(self, message: Message) -> Hand:
        """One more message."""
        hand = Hand(message, self._clock, self._limit)
        with self._lock:
            self._held.append(hand)
        return hand

    @contextlib.contextmanager
    def working(self, hand: Hand) -> t.Iterator[None]:
        """Within, this thread works on that message; after it, the message is out of hand."""
        self._local.hand = hand
        try:
            yield
        finally:
            self._local.hand = None
            self._end(hand)
            self.ring()

    def _end(self, hand: Hand) -> None:
        hand.progress.done()
        with self._lock:
            self._held.remove(hand)
            if self._alone is hand:
                self._alone = None
            for request_id in hand.claims:
                del self._claims[request_id]

    def moved(self) -> None:
        """A sign of life of the message that this thread works on."""
        hand: Hand | None = getattr(self._local, "hand", None)
        if hand is not None:
            hand.progress.moved()

    def claim(self, hand: Hand, request_id: str) -> Hand | None:
        """Be the one message that answers this request for now; whoever else is, where one is."""
        with self._lock:
            other = self._claims.setdefault(request_id, hand)
            if other is hand:
                hand.claims.add(request_id)
                return None
            return other

    def may_draw(self, hand: Hand, alone: bool) -> bool:
        """Go on to drawing, if that may be now. One that is drawn alone waits for those before it, and all for it.

        Both wait until the others are answered: what ends the worker takes answers on their way with it, and those of
        requests that are no longer tried for the first time count as attempts that failed.
        """
        with self._lock:
            if self.one_alone() and self._alone is not hand:
                return False
            if alone:
                self._alone = hand
            if alone and any(_in_danger(other) for other in self._held):
                return False
            hand.stage = Stage.DRAWING
            return True

    def drawn(self, hand: Hand) -> None:
        """It is with the drawing thread no more."""
        with self._lock:
            hand.stage = Stage.ANSWERING
        self.ring()

    def count(self, stage: Stage) -> int:
        """How many are at this stage."""
        with self._lock:
            return sum(hand.stage is stage for hand in self._held)

    def stages(self) -> dict[str, int]:
        """How many are at each stage."""
        return {stage.name.lower(): self.count(stage) for stage in Stage}

    def one_alone(self) -> bool:
        """Whether one is drawn alone and not yet answered, or about to be drawn."""
        alone = self._alone
        return alone is not None and not _lost(alone)

    def empty(self) -> bool:
        """Whether there is none."""
        return not self._held

    def hang(self) -> bool:
        """Whether one of them shows no progress any more."""
        with self._lock:
            return any(hand.progress.hangs() for hand in self._held)

    def all_hang(self) -> bool:
        """Whether there is nothing left to wait for."""
        with self._lock:
            return all(hand.progress.hangs() for hand in self._held)

    def ring(self) -> None:
        """Something has changed."""
        self._changed.set()
        with self._lock:
            for hand in self._held:
                hand.rung.set()

    def wait(self, seconds: float) -> None:
        """Wait for a change since the last wait, at most that long."""
        self._clock.wait(self._changed, seconds)
        self._changed.clear()


def _in_danger(hand: Hand) -> bool:
    """Whether it would suffer from the end of the worker's process."""
    return hand.stage in (Stage.DRAWING, Stage.ANSWERING) and not _lost(hand)


def _lost(hand: Hand) -> bool:
    """Whether its answer hangs: the message is left to another worker, and nobody here waits for it."""
    return hand.stage is Stage.ANSWERING and hand.progress.hangs()
