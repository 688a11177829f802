# SPDX-License-Identifier: Apache-2.0
"""The bytes of image layers: on disk, by digest, as the registry and its download links serve them."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import threading
import typing as t
import uuid
import weakref

from werkzeug.wrappers import Request, Response

PREFIX = "/_local-ecr/"
CHUNK = 1 << 20
_DIGEST = "sha256:"


def digest_of(data: bytes) -> str:
    """The digest of some bytes, as OCI writes it."""
    return _DIGEST + hashlib.sha256(data).hexdigest()


class _File:
    """A file without a name: the kernel frees it when nobody needs it, and when the server is gone, however it went."""

    def __init__(self) -> None:
        from local_aws import store

        # In the state folder of a server: what the system keeps its temporary files in may be memory.
        self.descriptor, path = tempfile.mkstemp(prefix="blob-", dir=store.bound().settings.scratch)
        os.unlink(path)
        weakref.finalize(self, os.close, self.descriptor)


class Blob:
    """Bytes on disk that are complete."""

    def __init__(self, file: _File, size: int, digest: str) -> None:
        self._file = file
        self.size = size
        self.digest = digest

    def read_at(self, start: int, count: int) -> bytes:
        """Up to that many bytes from there, whoever else reads meanwhile."""
        return os.pread(self._file.descriptor, max(0, min(count, self.size - start)), start)

    def chunks(self, start: int = 0, end: int | None = None) -> t.Iterator[bytes]:
        """The bytes from ``start`` up to ``end``, a chunk at a time."""
        last = self.size if end is None else min(end, self.size)
        while start < last:
            data = self.read_at(start, min(CHUNK, last - start))
            if not data:
                raise OSError(f"blob {self.digest} ends at byte {start}, not {self.size}")
            start += len(data)
            yield data

    def real_digest(self) -> str:
        """The digest of the bytes that are there now."""
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
        return _DIGEST + digest.hexdigest()

    def open(self) -> io.BufferedReader:
        """A file object with a position of its own."""
        return io.BufferedReader(_Reader(self), CHUNK)


class _Reader(io.RawIOBase):
    """Reads a blob from its beginning."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        data = self._blob.read_at(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


class Upload:
    """A blob on its way in; the digest is taken of the bytes as they come."""

    def __init__(self, repository_name: str) -> None:
        self.upload_id = str(uuid.uuid4())
        self.repository_name = repository_name
        self.size = 0
        self.lock = threading.Lock()
        """Whoever adds to it or finishes it holds this: a client may send a part again while the first still comes."""
        self._digest = hashlib.sha256()
        self._file = _File()

    @property
    def last_byte_received(self) -> int:
        """The index of the last byte; -1 before the first."""
        return self.size - 1

    def add(self, data: bytes) -> None:
        """Append."""
        left = memoryview(data)
        while left:
            written = os.pwrite(self._file.descriptor, left, self.size)
            self.size += written
            self._digest.update(left[:written])
            left = left[written:]

    @property
    def digest(self) -> str:
        """The digest of what has come so far."""
        return _DIGEST + self._digest.hexdigest()

    def blob(self) -> Blob:
        """What was uploaded."""
        return Blob(self._file, self.size, self.digest)


def find(repository: str, digest: str) -> Blob | None:
    """The blob of that digest in that repository."""
    from moto.ecr.models import ecr_backends

    from local_aws.store import ACCOUNT, REGION

    found = ecr_backends[ACCOUNT][REGION].repositories.get(repository)
    return of(found).get(digest) if found else None


def of(repository: t.Any) -> dict[str, Blob]:
    """The blobs of one of moto's repositories."""
    kept: dict[str, Blob] = repository.__dict__.setdefault("blobs", {})
    return kept


def keep(repository: t.Any, blob: Blob) -> None:
    """Put a blob into a repository."""
    of(repository)[blob.digest] = blob
    repository.layers[blob.digest] = blob.size


def answer(request: Request) -> Response:
    """Serve ``/_local-ecr/<repository>/blobs/<digest>``."""
    repository, _unused, digest = request.path[len(PREFIX) :].partition("/blobs/")
    blob = find(repository, digest)
    if blob is None:
        return Response(f"no blob {digest} in {repository}", status=404)
    return Response(blob.chunks(), content_type="application/octet-stream", headers={"Content-Length": str(blob.size)})
