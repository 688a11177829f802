# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engines noted: which drawing began or ended, where and when."""

from __future__ import annotations

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Note:
    """One line of the notes."""

    word: str
    """``begun``, ``drawn`` or ``failed``."""
    number: int
    """Of the request."""
    instance: str
    pid: int
    at: float


def read(path: Path, word: str = "") -> list[Note]:
    """All notes so far, or those of one word."""
    notes = map(parse, path.read_text(encoding="utf-8").splitlines())
    return [note for note in notes if word in ("", note.word)]


def parse(line: str) -> Note:
    """The note in a line."""
    word, number, instance, pid, at = line.split()
    return Note(word, int(number), instance, int(pid), float(at))
