# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The deployment's repository as a whole: also what has no tag, is part of an index, or is attached to an image."""

from __future__ import annotations

import datetime as dt
import json
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import aws_call, error_code
from ansible_collections.diffusion.fleet.plugins.module_utils._prune.values import Image

BATCH = 100
"""Images of one BatchGetImage or BatchDeleteImage (ECR API reference)."""
GONE, PART = "ImageNotFound", "ImageReferencedByManifestList"
PLAIN = "application/vnd.docker.distribution.manifest.v2+json"
"""The kind of manifest that names nothing but layers."""


def read_images(ecr: t.Any, repository: str) -> tuple[Image, ...]:
    """Every manifest in the repository; none where there is no repository."""
    rows = _describe(ecr, repository)
    named = [row["imageDigest"] for row in rows if row.get("imageManifestMediaType") != PLAIN]
    manifests: dict[str, t.Mapping[str, t.Any]] = {}
    for start in range(0, len(named), BATCH):
        manifests |= _manifests(ecr, repository, named[start : start + BATCH])
    return tuple(_image(row, manifests.get(row["imageDigest"], {})) for row in rows)


def _image(row: t.Mapping[str, t.Any], manifest: t.Mapping[str, t.Any]) -> Image:
    pushed: dt.datetime = row["imagePushedAt"]
    return Image(
        digest=row["imageDigest"],
        pushed=pushed.astimezone(dt.UTC),
        tags=tuple(sorted(row.get("imageTags", ()))),
        children=tuple(child["digest"] for child in manifest.get("manifests") or ()),
        refers_to=(manifest.get("subject") or {}).get("digest"),
    )


@aws_call("read the image repository")
def _describe(ecr: t.Any, repository: str) -> list[dict[str, t.Any]]:
    try:
        pages = ecr.get_paginator("describe_images").paginate(repositoryName=repository)
        return [row for page in pages for row in page["imageDetails"]]
    except ecr.exceptions.ClientError as error:
        if error_code(error) == "RepositoryNotFoundException":
            return []
        raise


@aws_call("read the manifests of images")
def _manifests(ecr: t.Any, repository: str, digests: t.Sequence[str]) -> dict[str, t.Mapping[str, t.Any]]:
    """By digest; an image that went meanwhile is left out."""
    wanted = [{"imageDigest": digest} for digest in digests]
    reply = ecr.batch_get_image(repositoryName=repository, imageIds=wanted)
    return {row["imageId"]["imageDigest"]: json.loads(row["imageManifest"]) for row in reply["images"]}


def delete_images(ecr: t.Any, repository: str, digests: t.Sequence[str]) -> dict[str, str]:
    """Delete manifests with all their tags, at most ``BATCH``; what the registry keeps, and why, by digest.

    Parts of an index are kept as long as it exists: they are tried once more when it is gone.
    """
    kept = _delete(ecr, repository, digests)
    parts = [digest for digest, (code, _unused) in kept.items() if code == PART]
    if parts:
        kept = {digest: why for digest, why in kept.items() if digest not in parts} | _delete(ecr, repository, parts)
    return {digest: f"{digest} stays: {reason}" for digest, (_unused, reason) in kept.items()}


@aws_call("remove images")
def _delete(ecr: t.Any, repository: str, digests: t.Sequence[str]) -> dict[str, tuple[str, str]]:
    """Code and reason of each failure; an image that is gone already is none."""
    wanted = [{"imageDigest": digest} for digest in digests]
    failures = ecr.batch_delete_image(repositoryName=repository, imageIds=wanted).get("failures", ())
    return {
        row["imageId"]["imageDigest"]: (str(row["failureCode"]), str(row.get("failureReason")))
        for row in failures
        if row["failureCode"] != GONE
    }
