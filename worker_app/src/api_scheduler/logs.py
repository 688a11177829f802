# SPDX-License-Identifier: Apache-2.0
"""The log: one JSON object a line on stdout, and nothing else. Prompts are never logged."""

from __future__ import annotations

import json
import sys
import threading
import typing as t

from api_scheduler.clock import Clock, iso


class Log:
    """Writes the log lines, each with the worker's names."""

    def __init__(self, clock: Clock, names: t.Mapping[str, str], stream: t.TextIO | None = None) -> None:
        self._clock = clock
        self._names = dict(names)
        self._stream = stream
        self._lock = threading.Lock()

    def line(self, event: str, **fields: t.Any) -> None:
        """One line with these fields."""
        document = {"event": event, "time": iso(self._clock.now()), **self._names, **fields}
        text = json.dumps(document, separators=(",", ":"), default=str)
        stream = self._stream or sys.stdout
        with self._lock:
            stream.write(text + "\n")
            stream.flush()

    def info(self, message: str, **fields: t.Any) -> None:
        """Something worth knowing."""
        self.line("log", level="info", message=message, **fields)

    def warning(self, message: str, **fields: t.Any) -> None:
        """Something went wrong and the worker goes on."""
        self.line("log", level="warning", message=message, **fields)

    def error(self, message: str, **fields: t.Any) -> None:
        """Something that a person should look at."""
        self.line("log", level="error", message=message, **fields)
