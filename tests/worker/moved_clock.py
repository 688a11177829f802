# SPDX-License-Identifier: Apache-2.0
"""A clock for tests of single parts."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading


@dataclasses.dataclass
class MovedClock:
    """A clock that is moved by hand, and waits for nothing."""

    seconds: float = 0.0

    def now(self) -> dt.datetime:
        return dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.is_set()
