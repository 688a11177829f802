# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for something, with an end."""

from __future__ import annotations

import threading
import time
import typing as t

EVERY_SECONDS = 0.7  # most questions are a command on a machine, which costs a fifth of a second of processor


def until(
    condition: t.Callable[[], t.Any], what: str, seconds: float, tell: t.Callable[[], str] | None = None
) -> t.Any:
    """The first true answer. Raises TimeoutError, with what ``tell`` says."""
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() >= deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}" + (f":\n{tell()}" if tell else ""))
        pause.wait(EVERY_SECONDS)
