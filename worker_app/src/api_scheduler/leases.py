# SPDX-License-Identifier: Apache-2.0
"""Keeps the messages that are held invisible to others, while their job progresses and not for ever."""

from __future__ import annotations

import dataclasses
import threading
import typing as t

from api_scheduler.aws import AwsFailure, Client, error_code
from api_scheduler.clock import Clock
from api_scheduler.logs import Log
from api_scheduler.queues import MAX_VISIBILITY_SECONDS, Message, change_visibility


@dataclasses.dataclass
class _Held:
    message: Message
    hangs: t.Callable[[], bool]
    since: float
    renewed: float
    calling: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    """Held while it is extended."""
    released: bool = False


def may_extend(held_seconds: float, hangs: bool, visibility_seconds: float) -> bool:
    """Whether a lease may be extended once more: its job progresses, and SQS's 12 hours are not used up."""
    return not hangs and held_seconds + visibility_seconds < MAX_VISIBILITY_SECONDS


class Leases:
    """The messages held now. One thread extends them at a third of the visibility timeout."""

    def __init__(
        self,
        sqs: Client,
        visibility_seconds: int,
        clock: Clock,
        log: Log,
    ) -> None:
        self._sqs = sqs
        self._visibility = visibility_seconds
        self._clock = clock
        self._log = log
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()

    def hold(self, message: Message, hangs: t.Callable[[], bool]) -> None:
        """Keep this message from now on, as long as it does not hang."""
        now = self._clock.monotonic()
        with self._lock:
            self._held[message.receipt_handle] = _Held(message, hangs, now, now)

    def release(self, message: Message) -> None:
        """Do not extend it any more: an extension under way ends first, or it would hide what is then handed back."""
        with self._lock:
            held = self._held.pop(message.receipt_handle, None)
        if held is not None:
            with held.calling:
                held.released = True

    def run(self, stopped: threading.Event) -> None:
        """Extend what is due, until stopped: the body of the lease thread."""
        while not self._clock.wait(stopped, self._visibility / 12):
            self.extend_due()

    def extend_due(self) -> None:
        """Extend every lease whose third has passed."""
        now = self._clock.monotonic()
        with self._lock:
            due = [held for held in self._held.values() if now - held.renewed >= self._visibility / 3]
        for held in due:
            with held.calling:
                if not held.released and may_extend(now - held.since, held.hangs(), self._visibility):
                    self._extend(held, now)

    def _extend(self, held: _Held, now: float) -> None:
        try:
            change_visibility(self._sqs, held.message, self._visibility)
            held.renewed = now
        except AwsFailure as error:
            # The message may go to another worker now. Whoever writes the result first wins; nothing is lost.
            self._log.warning("lease not extended", message_id=held.message.message_id, code=error_code(error))
