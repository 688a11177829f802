# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The one clock of the collection, replaceable in tests."""

from __future__ import annotations

import datetime as dt
import time
import typing as t


class Clock(t.Protocol):
    """What the code may ask of time."""

    def now(self) -> dt.datetime:
        """The wall clock, aware, in UTC."""

    def sleep(self, seconds: float) -> None:
        """Wait for that many seconds."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> dt.datetime:
        """The wall clock, aware, in UTC."""
        return dt.datetime.now(dt.UTC)

    def sleep(self, seconds: float) -> None:
        """Wait for that many seconds."""
        time.sleep(seconds)  # nothing else in the collection sleeps: tests give another clock
