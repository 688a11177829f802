# SPDX-License-Identifier: Apache-2.0
"""How long a piece of work has shown no progress."""

from __future__ import annotations

from api_scheduler.clock import Clock


class Progress:
    """The signs of life of one piece of work at a time; without any for ``limit_seconds`` it hangs."""

    def __init__(self, clock: Clock, limit_seconds: float) -> None:
        self._clock = clock
        self.limit_seconds = limit_seconds
        self._at: float | None = None

    def moved(self) -> None:
        """A sign of life; the first one begins the work."""
        self._at = self._clock.monotonic()

    def touch(self) -> None:
        """A sign of life of the work in hand, if there is any."""
        if self._at is not None:
            self.moved()

    def done(self) -> None:
        """There is no work any more."""
        self._at = None

    def stalled(self) -> float:
        """Seconds since the work in hand last progressed; 0 while there is none."""
        at = self._at
        return 0.0 if at is None else max(0.0, self._clock.monotonic() - at)

    def hangs(self) -> bool:
        """Whether that is too long."""
        return self.stalled() >= self.limit_seconds
