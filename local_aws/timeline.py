# SPDX-License-Identifier: Apache-2.0
"""The record of every change of state, in memory and as JSON lines."""

from __future__ import annotations

import datetime as dt
import json
import typing as t
from pathlib import Path

Entry = dict[str, t.Any]


class Timeline:
    """What happened, in order."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.entries: list[Entry] = []

    def record(self, at: dt.datetime, group: str, event: str, **fields: t.Any) -> None:
        """Add one entry; instance entries carry the fields of the brief of the instance."""
        entry: Entry = {"time": at.isoformat(), "group": group, "instance": None, "event": event} | fields
        self.entries.append(entry)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry, default=str) + "\n")

    def clear(self) -> None:
        """Forget what is held in memory; the file keeps it."""
        self.entries.clear()
