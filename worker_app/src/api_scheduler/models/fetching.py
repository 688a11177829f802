# SPDX-License-Identifier: Apache-2.0
"""Models that lie in S3: into the cache, with their digests, and told of on the way."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import typing as t
from pathlib import Path

from api_scheduler.aws import Client
from api_scheduler.clock import Clock
from api_scheduler.logs import Log
from api_scheduler.models import contents
from api_scheduler.models.bucket import Bucket
from api_scheduler.models.cache import Cache
from api_scheduler.models.download import Download, Wanted
from api_scheduler.models.errors import ModelUnusable
from api_scheduler.models.places import MANIFEST, Place

_TELL_SECONDS = 10.0


class Fetcher:
    """Brings models from S3 to this machine."""

    def __init__(
        self,
        s3: Client,
        cache: Cache,
        clock: Clock,
        log: Log,
        alive: t.Callable[[], None] = lambda: None,
        digests_required: bool = True,
    ) -> None:
        self._s3 = s3
        self._cache = cache
        self._clock = clock
        self._log = log
        self._alive = alive
        self._digests_required = digests_required
        self._known: dict[Place, list[Wanted]] = {}

    @contextlib.contextmanager
    def fetched(self, name: str, place: Place) -> t.Iterator[Path]:
        """The folder that holds the place's files; it stays at least as long as the block. Raises ModelUnusable.

        A place is looked at once: this worker draws with the same bytes for as long as it lives.
        """
        bucket = Bucket(self._s3, place)
        files = self._known.get(place) or self._files(place, bucket)
        facts = {"location": place.location, "bytes": _size(files)}

        def fill(folder: Path) -> None:
            teller = _Teller(name, _size(files), self._clock, self._log, self._alive)
            self._log.info("model download begins", model=name, bytes=_size(files), files=len(files))
            Download(bucket, folder, self._clock, teller.told).run(files)
            teller.ended()

        self._known.pop(place, None)

        with self._cache.use(_key(place, files), facts, fill) as folder:
            self._known[place] = files
            yield folder

    def _files(self, place: Place, bucket: Bucket) -> list[Wanted]:
        there = bucket.list()
        if place.single and place.single not in there:
            raise ModelUnusable(f"{place.location} does not exist")
        index_at = place.config + contents.INDEX
        folders = contents.components(place, bucket.small(index_at) if index_at in there else None)
        names = contents.wanted(place, there, folders)
        listed = contents.listed(place, bucket.small(MANIFEST))
        if listed is None:
            listed = {name: digest for name in names if (digest := bucket.sha256(name))}
        if self._digests_required:
            contents.check_listed(place, names, listed)
        elif len(listed) < len(names):
            self._log.warning("model without digests", location=place.location)
        return [Wanted(there[name], listed.get(name)) for name in names]


class _Teller:
    """Logs how far a download is, every few seconds, and passes on each sign of life."""

    def __init__(self, name: str, total: int, clock: Clock, log: Log, alive: t.Callable[[], None]) -> None:
        self._name, self._total, self._clock, self._log, self._alive = name, total, clock, log, alive
        self._lock = threading.Lock()
        self._done = 0
        self._began = self._said = clock.monotonic()

    def told(self, size: int) -> None:
        """Something came: so many bytes more are there for good."""
        self._alive()
        now = self._clock.monotonic()
        with self._lock:
            self._done += size
            due = now - self._said >= _TELL_SECONDS
            self._said = now if due else self._said
        if due:
            self._log.info("model download", model=self._name, bytes=self._done, of=self._total)

    def ended(self) -> None:
        """All of them are there."""
        seconds = round(self._clock.monotonic() - self._began, 3)
        self._log.info("model download done", model=self._name, bytes=self._total, seconds=seconds)


def _size(files: t.Iterable[Wanted]) -> int:
    return sum(file.remote.size for file in files)


def _key(place: Place, files: t.Iterable[Wanted]) -> str:
    """What tells two models apart: where they lie, and which writing of each file with which digest."""
    rows = sorted((file.remote.name, file.remote.size, file.remote.etag, file.sha256 or "") for file in files)
    return hashlib.sha256(json.dumps([place.bucket, place.base, rows]).encode()).hexdigest()[:32]
