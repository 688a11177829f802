# SPDX-License-Identifier: Apache-2.0
"""The log: one JSON object a line on stdout, and nothing else. No prompts, unless SD_LOG_PROMPTS allows them."""

from __future__ import annotations

import contextlib
import contextvars
import json
import logging
import sys
import threading
import typing as t

from api_scheduler.clock import Clock, iso
from api_scheduler.errors import described

_QUOTING = ("diffusers", "transformers", "peft", "accelerate")
"""Libraries that see prompts, and quote them in what they log."""


class Log:
    """Writes the log lines, each with the worker's names."""

    def __init__(self, clock: Clock, names: t.Mapping[str, str], stream: t.TextIO | None = None) -> None:
        self._clock = clock
        self._names = dict(names)
        self._stream = stream
        self._lock = threading.Lock()
        self._about: contextvars.ContextVar[dict[str, t.Any]] = contextvars.ContextVar("about")

    @contextlib.contextmanager
    def about(self, **fields: t.Any) -> t.Iterator[None]:
        """What every line of this thread is about, until the block is left."""
        token = self._about.set(fields)
        try:
            yield
        finally:
            self._about.reset(token)

    def add(self, **fields: t.Any) -> None:
        """More of what this thread's lines are about."""
        self._about.set({**self._about.get({}), **fields})

    def line(self, event: str, **fields: t.Any) -> None:
        """One line with these fields."""
        document = {"event": event, "time": iso(self._clock.now()), **self._names, **self._about.get({}), **fields}
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


class _Captured(logging.Handler):
    """Puts what libraries log into our own lines."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """One line; of what may quote a prompt only where it comes from."""
        said = record.getMessage()[:500]
        if record.name == "py.warnings":
            said = ":".join(said.split(":")[:3])  # file, line and kind: the rest is the library's text
        elif record.name.split(".")[0] in _QUOTING:
            said = f"{record.filename}:{record.lineno}"
        self._log.line("log", level=record.levelname.lower(), message="library", logger=record.name, said=said)


def capture(log: Log) -> None:
    """From now on what libraries log, warnings, and what ends a thread are lines of this log, not text on stderr."""
    root = logging.getLogger()
    root.handlers = [_Captured(log)]
    logging.captureWarnings(True)

    def ended(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            name = args.thread.name if args.thread else None
            log.error("thread ended", thread=name, error=described(args.exc_value, whole=False))

    threading.excepthook = ended
