# SPDX-License-Identifier: GPL-3.0-or-later
"""The phases of the demo and the seconds they took."""

from __future__ import annotations

import contextlib
import time
import typing as t


class Phases:
    """Announces each phase and keeps its time."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.monotonic()

    @contextlib.contextmanager
    def phase(self, name: str) -> t.Iterator[None]:
        """One phase."""
        print(f"\n=== {name} [{self.total():.0f} s since the start]", flush=True)
        begin = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - begin, 1)
            print(f"=== {name}: {self.seconds[name]:.1f} s", flush=True)

    def total(self) -> float:
        """Seconds since the start."""
        return round(time.monotonic() - self._start, 1)
