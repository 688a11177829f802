# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The use case of ``image_plan``: hold what is to be built against what the repository has."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws
from ansible_collections.diffusion.fleet.plugins.module_utils._images import ecr
from ansible_collections.diffusion.fleet.plugins.module_utils._images.blobs import read_blob
from ansible_collections.diffusion.fleet.plugins.module_utils._images.decision import Pushed, decide, source_sha256
from ansible_collections.diffusion.fleet.plugins.module_utils._images.oci import SOURCE_LABEL
from ansible_collections.diffusion.fleet.plugins.module_utils._images.reference import (
    ImageReference,
    attachment_tag,
    validate_version,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._images.source import read_build_context


@dataclasses.dataclass(frozen=True)
class PlanRequest:
    """What is to be built by an engine."""

    repository: str
    version: str
    source: str
    base_image: str
    requirements: str


def plan(aws: Aws, request: PlanRequest) -> dict[str, t.Any]:
    """What there is to do; the module's result."""
    version = validate_version(request.version)
    context = read_build_context(request.source, request.requirements)
    arguments = {"BASE_IMAGE": request.base_image, "REQUIREMENTS": request.requirements}
    source = source_sha256(context.files, arguments)
    client = aws.client("ecr")
    uri = ecr.find_repository_uri(client, request.repository)
    pushed = find_pushed(client, request.repository, version)
    decision = decide(repository=request.repository, version=version, source=source, pushed=pushed)
    # Not the base image: Ansible masks what looks like a credential in a result, and on local_aws a key is "local".
    labels = {"VERSION": version, "LOCK_SHA256": context.lock_sha256, "SOURCE_SHA256": source}
    return {
        "changed": False,
        "build": decision == "build",
        "version": version,
        "repository": uri,
        "registry": uri.split("/", 1)[0],
        "source_sha256": source,
        "build_args": {"REQUIREMENTS": request.requirements, **labels},
        **_found(client, request.repository, ImageReference(uri), pushed),
    }


def _found(client: t.Any, repository: str, uri: ImageReference, pushed: Pushed | None) -> dict[str, t.Any]:
    if pushed is None:
        return {"digest": None, "image": None, "sbom": False, "signed": False}
    attached = {
        kind: ecr.pushed_digest(client, repository, attachment_tag(pushed.digest, kind)) is not None
        for kind in ("sbom", "sig")
    }
    return {
        "digest": pushed.digest,
        "image": str(uri.pinned(pushed.digest)),
        "sbom": attached["sbom"],
        "signed": attached["sig"],
    }


def find_pushed(client: t.Any, repository: str, version: str) -> Pushed | None:
    """The image that bears the version, with the label that says what it was built from."""
    manifest = ecr.find_manifest(client, repository, {"imageTag": version})
    if manifest is None:
        return None
    labels = image_labels(client, repository, json.loads(manifest.text))
    return Pushed(manifest.digest, labels.get(SOURCE_LABEL, ""))


def image_labels(client: t.Any, repository: str, manifest: dict[str, t.Any]) -> dict[str, str]:
    """The labels of an image; of an index, those of its first image."""
    if "manifests" in manifest:
        manifest = _first_image(client, repository, manifest)
    digest = (manifest.get("config") or {}).get("digest")
    if digest is None:
        return {}
    document = json.loads(read_blob(client, repository, digest))
    return dict((document.get("config") or {}).get("Labels") or {})


def _first_image(client: t.Any, repository: str, index: dict[str, t.Any]) -> dict[str, t.Any]:
    for entry in index["manifests"]:
        if (entry.get("platform") or {}).get("os") != "unknown":  # what builders attach says unknown
            found = ecr.find_manifest(client, repository, {"imageDigest": entry["digest"]})
            return t.cast(dict[str, t.Any], json.loads(found.text)) if found else {}
    return {}
