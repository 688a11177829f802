# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The use case of ``image_bundle``: build in memory, plan, then write and push what is missing."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import AwsError
from ansible_collections.diffusion.fleet.plugins.module_utils._images import ecr, layout
from ansible_collections.diffusion.fleet.plugins.module_utils._images.oci import Image, build_image
from ansible_collections.diffusion.fleet.plugins.module_utils._images.plan import BuildPlan, image_diff, plan_build
from ansible_collections.diffusion.fleet.plugins.module_utils._images.reference import ImageReference, validate_version
from ansible_collections.diffusion.fleet.plugins.module_utils._images.source import read_source

ALREADY_THERE = frozenset({"ImageAlreadyExistsException", "ImageTagAlreadyExistsException"})


@dataclasses.dataclass(frozen=True)
class BuildRequest:
    """What is to be built, and where it goes."""

    repository: str
    version: str
    source: str
    output: str | None


def ensure_image(aws: Aws, request: BuildRequest, *, check_mode: bool) -> dict[str, t.Any]:
    """Make the version exist in the repository; the module's result."""
    version = validate_version(request.version)
    source = read_source(request.source)
    image = build_image(source.files, version=version, lock_sha256=source.lock_sha256)
    client = aws.client("ecr")
    uri = ecr.find_repository_uri(client, request.repository)
    plan = _plan(client, request, image)
    if not check_mode:
        _carry_out(client, request, image, plan)
    return _result(request, image, plan, ImageReference(uri), source.lock_sha256)


def _plan(client: t.Any, request: BuildRequest, image: Image) -> BuildPlan:
    files = layout.layout_files(image, request.version)
    return plan_build(
        repository=request.repository,
        version=request.version,
        digest=image.digest,
        pushed=ecr.pushed_digest(client, request.repository, request.version),
        written=request.output is None or layout.is_written(request.output, files),
    )


def _carry_out(client: t.Any, request: BuildRequest, image: Image, plan: BuildPlan) -> None:
    if plan.write and request.output is not None:
        layout.write_layout(request.output, layout.layout_files(image, request.version))
    if plan.push:
        _push(client, request, image)


def _push(client: t.Any, request: BuildRequest, image: Image) -> None:
    ecr.upload_missing(client, request.repository, image.blobs)
    try:
        ecr.put_image(client, request.repository, image.manifest, request.version)
    except AwsError as error:
        if error.details.get("code") not in ALREADY_THERE:
            raise
        _plan(client, request, image)  # another build won the race: fine with the same digest, refused with another


def _result(
    request: BuildRequest, image: Image, plan: BuildPlan, repository: ImageReference, lock_sha256: str
) -> dict[str, t.Any]:
    return {
        "changed": plan.changed,
        "version": request.version,
        "digest": image.digest,
        "image": str(repository.pinned(image.digest)),
        "repository": repository.repository,
        "pushed": plan.push,
        "layers": [{"digest": layer.digest, "size": len(layer.content)} for layer in image.layers],
        "lock_sha256": lock_sha256,
        "output": request.output,
        "diff": image_diff(request.version, image.digest, plan),
    }
