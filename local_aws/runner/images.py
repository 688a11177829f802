# SPDX-License-Identifier: Apache-2.0
"""Pulling an image from the registry's store: every digest checked, unpacked once into a cache."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import typing as t
from pathlib import Path

from backports import tarfile  # Debian 12's Python 3.11.2 has no filters yet

from local_aws import store
from local_aws.runner.base import RunnerError
from local_aws.services import blobs
from local_aws.services.blobs import Blob, digest_of

LOCK_LABEL = "org.diffusion.fleet.lock-sha256"
CONFIG_FILE = "image-config.json"


def pull(ref: str, cache: Path) -> Path:
    """Fetch ``[registry/]repository@sha256:…`` and unpack it; the root folder."""
    name, _unused, digest = ref.partition("@")
    repository = name.split("/", 1)[1] if ".dkr.ecr." in name.split("/", 1)[0] else name
    if not digest.startswith("sha256:"):
        raise RunnerError(f"{ref} names no digest: use repository@sha256:…")
    root = cache / digest.replace(":", "-")
    if not root.exists():
        _unpack(_manifest(repository, digest), repository, root)
    return root


def _manifest(repository: str, digest: str) -> dict[str, t.Any]:
    from moto.ecr.models import ecr_backends

    known = ecr_backends[store.ACCOUNT][store.REGION].repositories.get(repository)
    for image in known.images if known else []:
        if image.get_image_digest() == digest:
            text: str = image.image_manifest
            _check(digest, digest_of(text.encode("utf-8")))
            return t.cast(dict[str, t.Any], json.loads(text))
    raise RunnerError(f"the registry has no {repository}@{digest}: push it again")


def _blob(repository: str, digest: str) -> Blob:
    blob = blobs.find(repository, digest)
    if blob is None:
        raise RunnerError(f"the registry has no blob {digest}: push the image again")
    _check(digest, blob.real_digest())
    return blob


def _check(digest: str, found: str) -> None:
    if found != digest:
        raise RunnerError(f"blob {digest} is damaged: its bytes have the digest {found}")


def _unpack(manifest: dict[str, t.Any], repository: str, root: Path) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=root.parent, prefix=".unpack-"))
    try:
        with _blob(repository, manifest["config"]["digest"]).open() as config:
            (folder / CONFIG_FILE).write_bytes(config.read())
        for layer in manifest["layers"]:
            with (
                _blob(repository, layer["digest"]).open() as data,
                tarfile.open(fileobj=data, mode="r|*") as archive,
            ):
                archive.extractall(folder, filter="data")
        os.replace(folder, root)
    except OSError:
        if not root.exists():  # another instance may have unpacked the same image meanwhile
            raise
    except tarfile.TarError as problem:
        raise RunnerError(f"a layer of {repository} cannot be unpacked: {problem}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_lock(root: Path, lock_file: Path) -> None:
    """Refuse an image whose dependencies are not those of the worker's environment."""
    config = json.loads((root / CONFIG_FILE).read_bytes())
    wanted = ((config.get("config") or {}).get("Labels") or {}).get(LOCK_LABEL)
    found = lock_file.read_text(encoding="utf-8").strip() if lock_file.exists() else "nothing"
    if wanted != found:
        raise RunnerError(f"the image needs the dependencies {wanted}, {lock_file} says {found}: run 'make'")
