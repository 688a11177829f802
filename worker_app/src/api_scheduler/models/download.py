# SPDX-License-Identifier: Apache-2.0
"""Downloads a model's files in parts, several at a time, and goes on where an earlier try stopped.

A part is written to its place in the file and only then noted in a journal, so a process that is killed leaves a
journal that is true. Nothing is forced to the disk: after a loss of power the digests find what is missing.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import os
import threading
import typing as t
from pathlib import Path

from api_scheduler.aws import AwsFailure, error_code
from api_scheduler.clock import Clock
from api_scheduler.models.bucket import Bucket, Remote
from api_scheduler.models.contents import check_digest
from api_scheduler.models.errors import ModelUnusable

PART_BYTES = 16 * 1024 * 1024
_STREAMS = 8
_BLOCK = 1024 * 1024
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
_LOOK_SECONDS = 1.0
_JOURNAL = "parts"


class Truncated(Exception):
    """A reply ended before its last byte."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A file to have, with the sha256 it must have; None: any."""

    remote: Remote
    sha256: str | None


@dataclasses.dataclass(frozen=True)
class _Part:
    file: Wanted
    number: int

    @property
    def first(self) -> int:
        return self.number * PART_BYTES

    @property
    def size(self) -> int:
        return min(PART_BYTES, self.file.remote.size - self.first)


class Download:
    """Brings files into a folder, each of them whole and with its digest checked."""

    def __init__(self, bucket: Bucket, folder: Path, clock: Clock, told: t.Callable[[int], None]) -> None:
        self._bucket = bucket
        self._folder = folder
        self._clock = clock
        self._told = told
        self._lock = threading.Lock()
        self._work: collections.deque[_Part] = collections.deque()
        self._missing: dict[str, int] = {}
        self._failure: Exception | None = None
        self._open = 0
        self._ended = threading.Event()

    def run(self, files: t.Sequence[Wanted]) -> None:
        """Have them all. Raises ModelUnusable; what was fetched stays for the next try."""
        self._plan(files)
        self._open = _STREAMS
        # Daemons: a worker that must go does not wait for gigabytes.
        for number in range(_STREAMS):
            threading.Thread(target=self._stream, name=f"download-{number}", daemon=True).start()
        while not self._clock.wait(self._ended, _LOOK_SECONDS):
            pass  # only bytes that come are a sign of life
        if self._failure is not None:
            raise self._failure

    def _plan(self, files: t.Sequence[Wanted]) -> None:
        there = {row for row in self._journal() if row[0] in self._begun(files)}
        # The journal first: it must never speak of a part that is not there.
        (self._folder / _JOURNAL).write_text("".join(f"{name} {number}\n" for name, number in sorted(there)))
        for file in files:
            target = self._target(file)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("ab") as made:
                made.truncate(file.remote.size)
            count = -(-file.remote.size // PART_BYTES)
            parts = [_Part(file, number) for number in range(count) if (file.remote.name, number) not in there]
            self._told(file.remote.size - sum(part.size for part in parts))
            self._missing[file.remote.name] = len(parts)
            self._work.extend(parts)
            if not parts:
                self._check(file)

    def _begun(self, files: t.Iterable[Wanted]) -> set[str]:
        """The files that are there, and as long as they must be."""
        sizes = {file.remote.name: (self._target(file), file.remote.size) for file in files}
        return {name for name, (path, size) in sizes.items() if path.is_file() and path.stat().st_size == size}

    def _journal(self) -> set[tuple[str, int]]:
        """The parts that an earlier try has fetched. A line without its end was being written when it was killed."""
        try:
            lines = (self._folder / _JOURNAL).read_text().splitlines(keepends=True)
        except FileNotFoundError:
            return set()
        whole = [line.rstrip("\n").rpartition(" ") for line in lines if line.endswith("\n")]
        return {(name, int(number)) for name, _space, number in whole if number.isdigit()}

    def _stream(self) -> None:
        try:
            while (part := self._next()) is not None:
                self._fetch(part)
                if self._note(part):
                    self._check(part.file)
        except Exception as error:  # noqa: BLE001 it is raised again where the download was asked for
            self._failure = self._failure or _explained(error)
        finally:
            with self._lock:
                self._open -= 1
                if not self._open:
                    self._ended.set()

    def _next(self) -> _Part | None:
        with self._lock:
            return self._work.popleft() if self._work and self._failure is None else None

    def _fetch(self, part: _Part) -> None:
        for pause in _PAUSES:
            try:
                self._read(part)
                return
            except (*AwsFailure, Truncated, OSError) as error:
                if error_code(error) in ("PreconditionFailed", "412", "AccessDenied", "NoSuchKey"):
                    raise
                self._clock.wait(self._ended, pause)
        self._read(part)

    def _read(self, part: _Part) -> None:
        stream = self._bucket.part(part.file.remote, part.first, part.first + part.size - 1)
        at, end = part.first, part.first + part.size
        with self._target(part.file).open("r+b", buffering=0) as target:
            while block := stream.read(_BLOCK):
                os.pwrite(target.fileno(), block, at)
                at += len(block)
                self._told(0)
        if at != end:
            raise Truncated(f"{part.file.remote.name}: a reply ended {end - at} bytes early")

    def _note(self, part: _Part) -> bool:
        """Note that the part is there; whether it was its file's last one."""
        name = part.file.remote.name
        with self._lock:
            with (self._folder / _JOURNAL).open("a") as journal:
                journal.write(f"{name} {part.number}\n")
            self._missing[name] -= 1
            self._told(part.size)
            return not self._missing[name]

    def _check(self, file: Wanted) -> None:
        if file.sha256 is None:
            return
        found = sha256(self._target(file), lambda: self._told(0))
        if found != file.sha256:
            # Nothing of it is worth keeping: the next try begins this file anew.
            self._target(file).unlink()
        check_digest(file.remote.name, found, file.sha256)

    def _target(self, file: Wanted) -> Path:
        return self._folder / "files" / file.remote.name


def sha256(path: Path, moved: t.Callable[[], None]) -> str:
    """The digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(PART_BYTES):
            digest.update(block)
            moved()
    return digest.hexdigest()


def _explained(error: Exception) -> Exception:
    if error_code(error) in ("PreconditionFailed", "412"):
        return ModelUnusable("the model was written anew while it was downloaded; start the worker again")
    if isinstance(error, (*AwsFailure, Truncated)):
        return ModelUnusable(f"download stopped ({error_code(error)}: {error}); started again it goes on from there")
    return error
