# SPDX-License-Identifier: Apache-2.0
"""The deployment's models by name, each of them as files on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t
from pathlib import Path

from api_scheduler.models import contents, download, places
from api_scheduler.models.errors import ModelUnusable
from api_scheduler.models.fetching import Fetcher
from api_scheduler.models.places import MANIFEST, Place


@dataclasses.dataclass(frozen=True)
class Model:
    """A model on this machine. It may vanish when the block it was opened in is left: read it there."""

    name: str
    path: Path
    """A directory in diffusers format, or one file of weights."""
    config: Path
    """The directory that holds ``model_index.json``: of a directory, itself."""

    @property
    def single_file(self) -> bool:
        """Whether it is one file of weights, to be read with the configuration beside it."""
        return self.path != self.config


class Models:
    """The models that requests may choose from; the first is the default."""

    def __init__(
        self,
        locations: t.Mapping[str, str],
        fetcher: Fetcher | None = None,
        alive: t.Callable[[], None] = lambda: None,
    ) -> None:
        self._locations = dict(locations)
        self._fetcher = fetcher
        self._alive = alive
        self._checked: set[str] = set()

    @property
    def names(self) -> tuple[str, ...]:
        """Every name."""
        return tuple(self._locations)

    @property
    def remote(self) -> tuple[str, ...]:
        """The names of those that lie in S3."""
        return tuple(name for name, location in self._locations.items() if location.startswith("s3://"))

    @contextlib.contextmanager
    def open(self, name: str = "") -> t.Iterator[Model]:
        """A model's files, downloaded first if need be; no name is the default. Raises ModelUnusable."""
        name = name or next(iter(self._locations), "")
        if name not in self._locations:
            known = ", ".join(self._locations) or "none"
            raise ModelUnusable(f"there is no model {name!r}: the deployment has {known}")
        place = places.parse(self._locations[name])
        if not place.bucket:
            self._check_here(place)
            yield _model(name, place, Path(place.base))
            return
        if self._fetcher is None:
            raise ModelUnusable(f"{place.location}: models are only read from this machine here")
        with self._fetcher.fetched(name, place) as folder:
            yield _model(name, place, folder)

    def _check_here(self, place: Place) -> None:
        """Look at a directory as at a prefix: no pickles, and the digests where there is a list of them."""
        base = Path(place.base)
        folders = contents.components(place, _read(base / place.config / contents.INDEX))
        if place.single and not (base / place.single).is_file():
            raise ModelUnusable(f"{place.location} does not exist")
        inside = (path for folder in folders for path in (base / place.config / folder).rglob("*") if path.is_file())
        names = contents.wanted(place, (path.relative_to(base).as_posix() for path in inside), folders)
        listed = contents.listed(place, _read(base / MANIFEST))
        if listed is None or place.location in self._checked:
            return
        contents.check_listed(place, names, listed)
        for name in names:
            contents.check_digest(name, download.sha256(base / name, self._alive), listed[name])
        self._checked.add(place.location)


def _model(name: str, place: Place, base: Path) -> Model:
    config = base / place.config
    return Model(name, base / place.single if place.single else config, config)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
