# SPDX-License-Identifier: Apache-2.0
"""Locks between processes: files, so that the kernel frees them whatever becomes of their holder."""

from __future__ import annotations

import contextlib
import fcntl
import threading
import typing as t
from pathlib import Path

from api_scheduler.clock import Clock

_LOOK_SECONDS = 0.2


@contextlib.contextmanager
def held(path: Path, shared: bool, clock: Clock, waiting: t.Callable[[], None]) -> t.Iterator[None]:
    """Hold the lock, shared or alone; ``waiting`` is called again and again until it is free."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        while not _try(file, shared):
            waiting()
            clock.wait(threading.Event(), _LOOK_SECONDS)
        yield


@contextlib.contextmanager
def held_if_free(path: Path) -> t.Iterator[bool]:
    """Hold the lock alone if nobody holds it; whether it is held."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        yield _try(file, shared=False)


def _try(file: t.IO[bytes], shared: bool) -> bool:
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
