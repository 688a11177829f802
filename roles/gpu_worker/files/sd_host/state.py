# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host remembers between two runs of its scripts, until the next boot."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import typing as t
from pathlib import Path

GIVEN_UP = "given-up"
"""The unit is not started while this file exists; it holds the reason."""


@dataclasses.dataclass(frozen=True)
class State:
    """All times are seconds since boot."""

    started: float | None = None
    """When the present worker was started; None: none runs."""
    not_started: str = ""
    """Why the last start came to nothing before there was a worker."""
    answered: bool = False
    """Whether the present worker has answered its health check."""
    failed_checks: int = 0
    failed_starts: int = 0
    killed: bool = False
    """The present worker was killed by the health check: its end is no failed start."""
    silences: tuple[float, ...] = ()
    """When silent workers were killed."""
    given_up: str = ""
    """Why the host has given its worker up."""
    reported: str = ""
    """How Auto Scaling was told."""
    problem: str = ""
    """What the last check has found."""


@contextlib.contextmanager
def locked(folder: Path) -> t.Iterator[Store]:
    """The state, for one script at a time."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (folder / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Store(folder)


class Store:
    """The state on disk (in memory, that is: ``/run``)."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "state.json"
        self._given_up = folder / GIVEN_UP

    def load(self) -> State:
        """The state; a fresh one where there is none, or none that can be read."""
        try:
            given = json.loads(self._file.read_text(encoding="utf-8"))
            return State(**{**given, "silences": tuple(given.get("silences", ()))})
        except (OSError, ValueError, TypeError):
            return State()

    def save(self, state: State) -> None:
        """Replace the state in one step."""
        if state.given_up:
            self._given_up.write_text(state.given_up + "\n", encoding="utf-8")
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(dataclasses.asdict(state)), encoding="utf-8")
        fresh.replace(self._file)
