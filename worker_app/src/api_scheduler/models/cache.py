# SPDX-License-Identifier: Apache-2.0
"""The downloaded models of this machine: whole ones only, the least recently used ones go first.

``models/<key>/`` is a whole model, ``partial/<key>/`` one that is on its way; renaming the one into the other is what
makes a model. Every process takes the locks, so several may share the cache.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import typing as t
import uuid
from pathlib import Path

from api_scheduler.clock import Clock
from api_scheduler.logs import Log
from api_scheduler.models.errors import ModelUnusable
from api_scheduler.models.locks import held, held_if_free

_ENTRY = "entry.json"
_GONE = "gone-"


@dataclasses.dataclass(frozen=True)
class _Kept:
    folder: Path
    bytes: int
    used: float


class Cache:
    """A directory with at most so many bytes of models."""

    def __init__(
        self, root: Path, limit_bytes: int, clock: Clock, log: Log, alive: t.Callable[[], None] = lambda: None
    ) -> None:
        self._root = root
        self._limit = limit_bytes
        self._clock = clock
        self._log = log
        self._alive = alive

    @contextlib.contextmanager
    def use(self, key: str, facts: t.Mapping[str, t.Any], fill: t.Callable[[Path], None]) -> t.Iterator[Path]:
        """The folder of a whole model's files, filled if need be. It is not removed before the block is left."""
        ready = self._root / "models" / key
        lock = self._root / "locks" / key
        others = _Growth(self._root / "partial" / key, self._alive).look
        while True:
            with held(lock, True, self._clock, others):
                if ready.is_dir():
                    # Not the kernel's own time: that has only some milliseconds.
                    now = self._clock.now().timestamp()
                    os.utime(ready / _ENTRY, (now, now))
                    yield ready / "files"
                    return
            with held(lock, False, self._clock, others):
                # Another process may have been faster.
                if not ready.is_dir():
                    self._fill(key, facts, fill)

    def _fill(self, key: str, facts: t.Mapping[str, t.Any], fill: t.Callable[[Path], None]) -> None:
        partial = self._root / "partial" / key
        self._make_room(key, int(facts["bytes"]))
        partial.mkdir(parents=True, exist_ok=True)
        (partial / _ENTRY).write_text(json.dumps(facts, indent=1))
        fill(partial)
        ready = self._root / "models" / key
        ready.parent.mkdir(parents=True, exist_ok=True)
        partial.rename(ready)

    def _make_room(self, key: str, wanted: int) -> None:
        """Remove what was used longest ago until that much more fits. Raises ModelUnusable where it cannot."""
        with held(self._root / "locks" / "room", False, self._clock, lambda: None):
            kept = sorted(self._kept(key), key=lambda entry: entry.used)
            total = sum(entry.bytes for entry in kept) + wanted
            for entry in kept:
                # What is larger than the whole cache must not empty it for nothing.
                if wanted <= self._limit < total and self._remove(entry):
                    total -= entry.bytes
        if total > self._limit:
            raise ModelUnusable(
                f"the model has {_gib(wanted)}, and with what is in use that makes {_gib(total)}: "
                f"SD_MODEL_CACHE_GIB allows {_gib(self._limit)}"
            )

    def _kept(self, but: str) -> t.Iterator[_Kept]:
        for kind in ("models", "partial"):
            for folder in sorted((self._root / kind).glob("*")):
                if folder.name.startswith(_GONE):
                    shutil.rmtree(folder, ignore_errors=True)
                elif folder.name != but:
                    yield _entry(folder)

    def _remove(self, entry: _Kept) -> bool:
        with held_if_free(self._root / "locks" / entry.folder.name) as free:
            if not free:
                return False
            # Renamed first: half removed, it must not pass for a model.
            gone = entry.folder.with_name(f"{_GONE}{uuid.uuid4().hex}")
            entry.folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
        self._log.info("model evicted", key=entry.folder.name, bytes=entry.bytes)
        return True


class _Growth:
    """Somebody else's download of a model: it is a sign of life for whoever waits for it, as long as it grows."""

    def __init__(self, folder: Path, alive: t.Callable[[], None]) -> None:
        self._folder = folder
        self._alive = alive
        self._blocks = -1

    def look(self) -> None:
        """Look again."""
        blocks = 0
        for path in self._folder.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                blocks += path.stat().st_blocks
        if blocks != self._blocks:
            self._blocks = blocks
            self._alive()


def _entry(folder: Path) -> _Kept:
    try:
        size = int(json.loads((folder / _ENTRY).read_text())["bytes"])
        return _Kept(folder, size, (folder / _ENTRY).stat().st_mtime)
    except (OSError, ValueError, KeyError, TypeError):
        return _Kept(folder, 0, 0.0)


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"
