# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What goes into an image: the files of a worker's source directory, and the hash of what they need."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput

PACKAGE = "src/api_scheduler"
PROJECT = "pyproject.toml"
LOCK = "requirements.txt"
ROOT = "app"
DOCKERFILE = "Dockerfile"


@dataclasses.dataclass(frozen=True)
class Source:
    """The files by their paths in the image, and the sha256 of the lock file they were written against."""

    files: t.Mapping[str, bytes]
    lock_sha256: str


def read_source(directory: str) -> Source:
    """Read a worker's source directory. Raises InvalidInput when something that it needs is missing."""
    root = pathlib.Path(directory)
    for needed in (f"{PACKAGE}/__init__.py", PROJECT, LOCK):
        if not (root / needed).is_file():
            raise InvalidInput(
                f"source={directory}: there is no {needed}. "
                "Give the directory of a worker application, such as worker_app."
            )
    paths = [*package_files(root), root / PROJECT]
    files = {f"{ROOT}/{path.relative_to(root).as_posix()}": _read(path) for path in paths}
    return Source(files, hashlib.sha256(_read(root / LOCK)).hexdigest())


def read_build_context(directory: str, requirements: str) -> Source:
    """What an engine builds from: the same, the Dockerfile and the lock file. Raises InvalidInput."""
    source, root = read_source(directory), pathlib.Path(directory)
    lock = f"locks/{requirements}.txt"
    for needed in (DOCKERFILE, lock):
        if not (root / needed).is_file():
            raise InvalidInput(
                f"source={directory}: there is no {needed}, which an engine builds from. "
                "Write the lock files with 'make locks', or give a directory such as worker_app."
            )
    return Source({**source.files, **{name: _read(root / name) for name in (DOCKERFILE, lock)}}, source.lock_sha256)


def package_files(root: pathlib.Path) -> list[pathlib.Path]:
    """The package's files, without what Python or an editor left there."""
    found: list[pathlib.Path] = []
    for folder, names, files in os.walk(root / PACKAGE):
        names[:] = [name for name in names if wanted(name)]
        found.extend(pathlib.Path(folder, name) for name in files if wanted(name))
    return found


def wanted(name: str) -> bool:
    """Whether a file or directory of that name belongs to the package."""
    return not name.startswith(".") and name != "__pycache__" and not name.endswith((".pyc", "~"))


def _read(path: pathlib.Path) -> bytes:
    if path.is_symlink():  # what it points at may differ on the next machine
        raise InvalidInput(f"source: {path} is a symbolic link. Put the file itself there.")
    return path.read_bytes()
