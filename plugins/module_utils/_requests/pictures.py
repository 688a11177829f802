# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Pictures of results as files."""

from __future__ import annotations

import hashlib
import pathlib
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import AwsError
from ansible_collections.diffusion.fleet.plugins.module_utils._requests.api import read_object


def picture_paths(dest: str, result: t.Mapping[str, t.Any]) -> list[str]:
    """Where the pictures of a result go: ``<dest>/<id>-<n>.png``."""
    count = len(result.get("images") or [])
    return [str(pathlib.Path(dest) / f"{result['id']}-{number}.png") for number in range(count)]


def missing(paths: t.Sequence[str], result: t.Mapping[str, t.Any]) -> list[tuple[str, t.Mapping[str, t.Any]]]:
    """The pictures that are not there yet with the right content: path and the image's entry in the result."""
    pairs = zip(paths, result.get("images") or [], strict=True)
    return [(path, image) for path, image in pairs if not _holds(pathlib.Path(path), image["sha256"])]


def _holds(path: pathlib.Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def save_picture(s3: t.Any, bucket: str, path: str, image: t.Mapping[str, t.Any]) -> None:
    """Bring one picture to the disk. Raises AwsError when it is not the one that the result tells of."""
    content = read_object(s3, bucket, image["key"])
    if hashlib.sha256(content).hexdigest() != image["sha256"]:
        raise AwsError(
            f"s3://{bucket}/{image['key']} is not the picture of its result: the sha256 differs from "
            f"{image['sha256']}. Somebody else writes to the bucket; send the request under a new id."
        )
    target = pathlib.Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
