# SPDX-License-Identifier: Apache-2.0
"""The one clock of the worker: every wait goes through it, so tests can replace it."""

from __future__ import annotations

import datetime as dt
import threading
import time
import typing as t


class Clock(t.Protocol):
    """What the worker may ask of time."""

    def now(self) -> dt.datetime:
        """The wall clock, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until the event is set, at most that long; whether it is set."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> dt.datetime:
        """The wall clock, aware, in UTC."""
        return dt.datetime.now(dt.UTC)

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until the event is set, at most that long; whether it is set."""
        return event.wait(seconds)


def iso(moment: dt.datetime) -> str:
    """``2026-01-01T00:00:00.000Z``: how every document and log line writes a time."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
