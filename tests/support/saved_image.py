# SPDX-License-Identifier: GPL-3.0-or-later
"""An image as ``docker save`` writes it, to look into."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
import typing as t
from pathlib import Path

from backports import tarfile

from scripts.rehearsal.images import docker

PIECE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Saved:
    """The configuration, and the layers as tar archives, the lowest first."""

    config: dict[str, t.Any]
    layers: tuple[Path, ...]

    def files(self, layer: int) -> list[tarfile.TarInfo]:
        """The files of one layer, directories left out."""
        with tarfile.open(self.layers[layer]) as archive:
            return [entry for entry in archive if not entry.isdir()]

    def all_files(self) -> list[tarfile.TarInfo]:
        """The files of every layer."""
        return [entry for number in range(len(self.layers)) for entry in self.files(number)]


@contextlib.contextmanager
def saved(image: str, folder: Path | None = None) -> t.Iterator[Saved]:
    """The image, unpacked for as long as it is looked at."""
    with tempfile.TemporaryDirectory(prefix="fleet-image-", dir=folder) as name:
        place = Path(name)
        docker("save", "--output", str(place / "image.tar"), image)
        with tarfile.open(place / "image.tar") as archive:
            archive.extractall(place, filter="data")
        (place / "image.tar").unlink()
        (entry,) = json.loads((place / "manifest.json").read_text())
        config = json.loads((place / entry["Config"]).read_text())
        yield Saved(config, tuple(place / layer for layer in entry["Layers"]))


def holds(path: Path, needle: bytes) -> bool:
    """Whether the bytes occur in the file, which is read piece by piece."""
    tail = b""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            if needle in tail + piece:
                return True
            tail = piece[-len(needle) :]
    return False
