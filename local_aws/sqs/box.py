# SPDX-License-Identifier: Apache-2.0
"""The messages of one standard queue: a deque of what is visible, a heap of what becomes visible later."""

from __future__ import annotations

import base64
import collections
import dataclasses
import heapq
import itertools
import secrets
import threading
import time
import typing as t

Milliseconds = int


@dataclasses.dataclass(eq=False)
class Message:
    """One message; ``state`` says where it is."""

    message_id: str
    body: str
    attributes: dict[str, t.Any]
    system: dict[str, t.Any]
    sent_at: Milliseconds
    group_id: str | None = None
    first_received_at: Milliseconds | None = None
    receives: int = 0
    handle: str | None = None
    due: Milliseconds = 0
    state: t.Literal["visible", "delayed", "in_flight", "gone"] = "visible"
    source_arn: str | None = None


class Box:
    """All of it happens under one condition, which also wakes the long polls."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False
        self._changed = threading.Condition()
        self._ready: collections.deque[Message] = collections.deque()
        self._later: list[tuple[Milliseconds, int, Message]] = []
        self._all: dict[str, Message] = {}
        self._order = itertools.count()

    def add(self, message: Message, now: Milliseconds, delay: Milliseconds = 0) -> None:
        """Put a message in, visible now or after ``delay``."""
        with self._changed:
            self._all[message.message_id] = message
            if delay:
                self._hold(message, "delayed", now + delay)
            else:
                self._show(message)

    def _show(self, message: Message) -> None:
        message.state = "visible"
        self._ready.append(message)
        self._changed.notify()

    def _hold(self, message: Message, state: t.Literal["delayed", "in_flight"], due: Milliseconds) -> None:
        message.state, message.due = state, due
        heapq.heappush(self._later, (due, next(self._order), message))
        self._changed.notify()

    def _settle(self, now: Milliseconds) -> None:
        """Show what is due. A heap entry counts only while it says what its message says."""
        while self._later and self._later[0][0] <= now:
            due, _unused, message = heapq.heappop(self._later)
            if message.state in ("delayed", "in_flight") and message.due == due:
                self._show(message)

    def expire(self, now: Milliseconds, retention: Milliseconds) -> None:
        """Drop what is older than the retention period."""
        with self._changed:
            for message in list(itertools.takewhile(lambda m: m.sent_at + retention <= now, self._all.values())):
                self._drop(message)

    def _drop(self, message: Message) -> None:
        message.state = "gone"
        self._all.pop(message.message_id, None)

    def take(
        self, now: Milliseconds, count: int, visibility: Milliseconds, limit: int | None
    ) -> tuple[list[Message], list[Message]]:
        """Receive up to ``count``; second, what was received ``limit`` times and leaves for the dead letters."""
        taken: list[Message] = []
        dead: list[Message] = []
        with self._changed:
            self._settle(now)
            while self._ready and len(taken) < count:
                message = self._ready.popleft()
                if message.state != "visible":
                    continue
                if limit is not None and message.receives >= limit:
                    self._drop(message)
                    dead.append(message)
                    continue
                taken.append(self._receive(message, now, visibility))
        return taken, dead

    def _receive(self, message: Message, now: Milliseconds, visibility: Milliseconds) -> Message:
        message.receives += 1
        message.first_received_at = message.first_received_at or now
        message.handle = make_handle(self.name, message.message_id)
        if visibility:
            self._hold(message, "in_flight", now + visibility)
        else:
            self._show(message)
        return dataclasses.replace(message)

    def wait(self, now: t.Callable[[], Milliseconds], deadline: float) -> bool:
        """Wait until something may be visible; False when the time is over or the queue closes."""
        with self._changed:
            while not self.closed:
                self._settle(now())
                if any(message.state == "visible" for message in self._ready):
                    return True
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                due = (self._later[0][0] - now()) / 1000 if self._later else left
                self._changed.wait(max(min(left, due), 0.001))
        return False

    def close(self) -> None:
        """End every long poll."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def delete(self, handle: str) -> None:
        """Delete by the most recent handle; an older one does nothing, as AWS documents."""
        with self._changed:
            message = self._all.get(message_id_of(handle))
            if message is not None and message.handle == handle:
                self._drop(message)

    def change_visibility(self, handle: str, now: Milliseconds, visibility: Milliseconds) -> bool:
        """Show a message later or at once; False when that handle holds no message in flight any more."""
        with self._changed:
            self._settle(now)
            message = self._all.get(message_id_of(handle))
            if message is None or message.handle != handle or message.state != "in_flight":
                return False
            if visibility:
                self._hold(message, "in_flight", now + visibility)
            else:
                self._show(message)
            return True

    def first_received(self, handle: str) -> Milliseconds | None:
        """When the message of a handle was received first."""
        message = self._all.get(message_id_of(handle))
        return message.first_received_at if message else None

    def purge(self) -> list[Message]:
        """Drop everything; what was there."""
        with self._changed:
            dropped = list(self._all.values())
            for message in dropped:
                self._drop(message)
            self._ready.clear()
            self._later.clear()
            return dropped

    def counts(self, now: Milliseconds) -> dict[str, int]:
        """How many messages are visible, in flight and delayed."""
        with self._changed:
            self._settle(now)
            found = collections.Counter(message.state for message in self._all.values())
        return {"visible": found["visible"], "in_flight": found["in_flight"], "delayed": found["delayed"]}

    def oldest(self) -> Milliseconds | None:
        """When the oldest message was sent."""
        with self._changed:
            return next((message.sent_at for message in self._all.values()), None)


def make_handle(queue: str, message_id: str) -> str:
    """A receipt handle, which names its message."""
    return base64.b64encode(f"{queue} {message_id} {secrets.token_hex(48)}".encode()).decode()


def message_id_of(handle: str) -> str:
    """The message that a handle names, empty when it is no handle."""
    try:
        parts = base64.b64decode(handle, validate=True).decode().split(" ")
    except (ValueError, UnicodeDecodeError):
        return ""
    return parts[1] if len(parts) == 3 else ""
