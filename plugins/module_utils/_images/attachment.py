# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The use case of ``image_attachment``: a document beside an image, as an OCI artifact that refers to it.

The artifact names the image as its subject (OCI 1.1) and bears the tag ``sha256-<hex>.<kind>``, so that registries with
and without the referrers API find it.
"""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import Conflict, InvalidInput, NotFound
from ansible_collections.diffusion.fleet.plugins.module_utils._images import ecr
from ansible_collections.diffusion.fleet.plugins.module_utils._images.oci import (
    MANIFEST_TYPE,
    Blob,
    Image,
    canonical_json,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._images.reference import ImageReference, attachment_tag

EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
TITLE = "org.opencontainers.image.title"


@dataclasses.dataclass(frozen=True)
class AttachmentRequest:
    """What is attached to which image."""

    repository: str
    digest: str
    kind: str
    media_type: str
    path: str


def artifact(request: AttachmentRequest, content: bytes, subject: ecr.Manifest) -> Image:
    """The document as an artifact whose subject is the image."""
    document, empty = Blob(request.media_type, content), Blob(EMPTY_TYPE, b"{}")
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": request.media_type,
        "config": empty.descriptor(),
        "layers": [{**document.descriptor(), "annotations": {TITLE: pathlib.PurePath(request.path).name}}],
        "subject": {
            "mediaType": subject.media_type,
            "digest": subject.digest,
            "size": len(subject.text.encode("utf-8")),
        },
    }
    return Image((document,), empty, Blob(MANIFEST_TYPE, canonical_json(manifest)))


def attach(aws: Aws, request: AttachmentRequest, *, check_mode: bool) -> dict[str, t.Any]:
    """Make the document be attached; the module's result."""
    ImageReference(request.repository, digest=request.digest).validate()
    client = aws.client("ecr")
    subject = ecr.find_manifest(client, request.repository, {"imageDigest": request.digest})
    if subject is None:
        raise NotFound(f"{request.repository} has no image {request.digest}: push it first.")
    found, tag = artifact(request, _read(request.path), subject), attachment_tag(request.digest, request.kind)
    there = ecr.pushed_digest(client, request.repository, tag)
    if there not in (None, found.digest):
        raise Conflict(
            f"{request.digest} has another {request.kind} attached ({tag} is {there}). "
            "What is attached to an image is never overwritten: delete that tag if you mean it.",
            attached_digest=there,
        )
    if there is None and not check_mode:
        ecr.upload_missing(client, request.repository, found.blobs)
        ecr.put_image(client, request.repository, found.manifest, tag)
    return {"changed": there is None, "digest": found.digest, "tag": tag, "subject": request.digest}


def _read(path: str) -> bytes:
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise InvalidInput(f"path={path} cannot be read: {error.strerror}.") from error
