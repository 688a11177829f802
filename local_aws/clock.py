# SPDX-License-Identifier: Apache-2.0
"""The one clock of local_aws: the machine's in a server, a virtual one in harnesses."""

from __future__ import annotations

import datetime as dt
import typing as t


class Clock(t.Protocol):
    """What local_aws may ask of time."""

    def now(self) -> dt.datetime:
        """The time that clients see: aware, UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> dt.datetime:
        """The wall clock, aware, in UTC."""
        return dt.datetime.now(dt.UTC)


class VirtualClock:
    """A clock that stands still until it is advanced; also sleeps by advancing, for code that waits."""

    def __init__(self, start: dt.datetime | None = None) -> None:
        # From the present on: CloudWatch Logs refuses events that are weeks old, and moto asks the machine's clock.
        self._now = start or dt.datetime.now(dt.UTC).replace(microsecond=0)

    def now(self) -> dt.datetime:
        """The virtual time, aware, in UTC."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on by that many seconds."""
        self._now += dt.timedelta(seconds=seconds)
