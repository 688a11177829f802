# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""An OCI image out of files, in memory and without a container engine.

The same files, version and labels give the same bytes on every machine: entries are sorted, owners, times and modes
normalised, JSON is canonical, and the gzip member holds stored blocks, since what a compressor makes of the same
input differs between builds of zlib. The code of a worker is small, so nothing is lost by not compressing it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import struct
import tarfile
import typing as t
import zlib

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"

VERSION_LABEL = "org.opencontainers.image.version"
LOCK_LABEL = "org.diffusion.fleet.lock-sha256"
SOURCE_LABEL = "org.diffusion.fleet.source-sha256"

GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no name, mtime 0, system unknown
STORED_BLOCK = 65535  # the most that a stored block of deflate holds
EPOCH = "1970-01-01T00:00:00Z"


@dataclasses.dataclass(frozen=True)
class Blob:
    """Bytes with the media type under which a registry keeps them."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        """``sha256:`` and the hex digest of the bytes."""
        return "sha256:" + hashlib.sha256(self.content).hexdigest()

    def descriptor(self) -> dict[str, t.Any]:
        """How a manifest points at the blob."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)}


@dataclasses.dataclass(frozen=True)
class Image:
    """A whole image: its layers, its configuration and the manifest, whose digest is the image's."""

    layers: tuple[Blob, ...]
    config: Blob
    manifest: Blob

    @property
    def digest(self) -> str:
        """The image's digest."""
        return self.manifest.digest

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Everything a registry must hold before it takes the manifest."""
        return (*self.layers, self.config)


def build_image(files: t.Mapping[str, bytes], *, version: str, lock_sha256: str) -> Image:
    """The image with one layer that holds the files, by their paths in the image (``app/…``)."""
    tar = layer_tar(files)
    layer = Blob(LAYER_TYPE, gzip_stored(tar))
    config = Blob(CONFIG_TYPE, canonical_json(image_config(tar, version, lock_sha256)))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config.descriptor(),
        "layers": [layer.descriptor()],
    }
    return Image((layer,), config, Blob(MANIFEST_TYPE, canonical_json(manifest)))


def image_config(tar: bytes, version: str, lock_sha256: str) -> dict[str, t.Any]:
    """The image's configuration: how it starts, and the labels that tell what it is and needs."""
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": EPOCH,
        "config": {
            "Env": ["PYTHONPATH=/app/src", "PYTHONUNBUFFERED=1"],
            "Entrypoint": ["python", "-m", "api_scheduler"],
            "WorkingDir": "/app",
            "Labels": {VERSION_LABEL: version, LOCK_LABEL: lock_sha256},
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]},
    }


def layer_tar(files: t.Mapping[str, bytes]) -> bytes:
    """A tar archive of the files and the directories above them, the same for the same files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted({*directories(files), *files}):
            content = files.get(path)
            tar.addfile(_entry(path, content), None if content is None else io.BytesIO(content))
    return out.getvalue()


def directories(paths: t.Iterable[str]) -> set[str]:
    """Every directory above the paths."""
    parts = [path.split("/")[:-1] for path in paths]
    return {"/".join(names[:depth]) for names in parts for depth in range(1, len(names) + 1)}


def _entry(path: str, content: bytes | None) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
    entry.mode = 0o755 if content is None else 0o644
    entry.size = len(content or b"")
    return entry  # owner root and time 0 are what a TarInfo starts with


def gzip_stored(content: bytes) -> bytes:
    """The bytes as a gzip member of stored blocks."""
    starts = range(0, len(content), STORED_BLOCK) or range(1)
    blocks = [_stored_block(content[i : i + STORED_BLOCK], i + STORED_BLOCK >= len(content)) for i in starts]
    trailer = struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
    return GZIP_HEADER + b"".join(blocks) + trailer


def _stored_block(chunk: bytes, last: bool) -> bytes:
    return struct.pack("<BHH", int(last), len(chunk), len(chunk) ^ 0xFFFF) + chunk


def canonical_json(value: t.Any) -> bytes:
    """The value as JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("utf-8")
