# SPDX-License-Identifier: GPL-3.0-or-later
"""One JSON object a line, in the files that the CloudWatch agent ships."""

from __future__ import annotations

import contextlib
import json
import sys
import time
import typing as t
from pathlib import Path

_NEVER_STARTED = 'msg="error waiting for container'


class Log:
    """A log file. What the timer writes stands in the journal too; the unit's own output is the worker's log."""

    def __init__(self, path: Path, names: t.Mapping[str, str], echo: bool = False) -> None:
        self._echo = echo
        self._path = path
        self._names = names

    def line(self, event: str, **fields: t.Any) -> None:
        """Write one line. A full disk takes no log, and must not keep the host from acting."""
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        text = json.dumps({"event": event, "time": when, **self._names, **fields})
        if self._echo:
            print(text, file=sys.stderr)
        with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")


def last_words(path: Path, characters: int = 500) -> str:
    """The last line of a log. Docker's client adds one to what it says of a container that never started."""
    with contextlib.suppress(OSError):
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16384))
            lines = file.read().decode(errors="replace").strip().splitlines()
        lines = [line for line in lines if _NEVER_STARTED not in line]
        return lines[-1][-characters:] if lines else "it printed nothing"
    return "it has no log"
