# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""An image as an OCI image layout directory, which container engines and registries' tools read."""

from __future__ import annotations

import pathlib
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._images.oci import INDEX_TYPE, Image, canonical_json

TAG_ANNOTATION = "org.opencontainers.image.ref.name"


def layout_files(image: Image, version: str) -> dict[str, bytes]:
    """The files of the layout by their relative paths."""
    descriptor = {**image.manifest.descriptor(), "annotations": {TAG_ANNOTATION: version}}
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": [descriptor],
    }
    blobs = {_blob_path(blob.digest): blob.content for blob in (*image.blobs, image.manifest)}
    return {**blobs, "oci-layout": canonical_json({"imageLayoutVersion": "1.0.0"}), "index.json": canonical_json(index)}


def _blob_path(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def is_written(directory: str, files: t.Mapping[str, bytes]) -> bool:
    """Whether the directory holds those files already."""
    root = pathlib.Path(directory)
    return all((root / path).is_file() and (root / path).read_bytes() == content for path, content in files.items())


def write_layout(directory: str, files: t.Mapping[str, bytes]) -> None:
    """Write the files; the index comes last, so that a layout with an index is complete."""
    root = pathlib.Path(directory)
    for path, content in sorted(files.items(), key=lambda item: item[0] == "index.json"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
