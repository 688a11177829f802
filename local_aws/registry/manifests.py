# SPDX-License-Identifier: Apache-2.0
"""Manifests: put and read by tag and by digest, the list of tags, and what refers to an image."""

from __future__ import annotations

import json
import typing as t

from moto.core.exceptions import ServiceException
from werkzeug.wrappers import Response

from local_aws import store
from local_aws.registry.context import Context, checked_digest, is_digest, reply
from local_aws.registry.errors import API_HEADERS, RegistryError, of_ecr
from local_aws.services import ecr
from local_aws.services.blobs import digest_of

LARGEST = 4 * 1024 * 1024
INDEX = "application/vnd.oci.image.index.v1+json"


def read(context: Context, reference: str) -> Response:
    """GET or HEAD of a manifest."""
    image = _find(context, reference)
    if image is None:
        message = (
            f"The image with imageId {{imageDigest:'{reference if is_digest(reference) else 'null'}', "
            f"imageTag:'{'null' if is_digest(reference) else reference}'}} does not exist within the repository with "
            f"name '{context.name}' in the registry with id '{store.ACCOUNT}'"
        )
        raise RegistryError(404, "MANIFEST_UNKNOWN", message)
    text = image.image_manifest.encode("utf-8")
    headers = {
        **API_HEADERS,
        "Docker-Content-Digest": image.get_image_digest(),
        "Content-Type": image.image_manifest_media_type,
        "Content-Length": str(len(text)),
    }
    return Response(text, headers=headers)


def _find(context: Context, reference: str) -> t.Any:
    if is_digest(reference):
        checked_digest(reference)
    for image in list(context.repository.images):
        if reference == image.get_image_digest() or reference in image.image_tags:
            return image
    return None


def write(context: Context, reference: str) -> Response:
    """PUT of a manifest: what it names must be there, its digest is that of its bytes."""
    from moto.ecr.models import ecr_backends

    text = _text(context)
    tag = None if is_digest(reference) else reference
    media_type = (context.request.content_type or "").partition(";")[0].strip() or None
    digest = digest_of(text.encode("utf-8"))
    try:
        backend = ecr_backends[store.ACCOUNT][store.REGION]
        ecr.put_image(backend, context.name, text, tag, media_type, None if tag else checked_digest(reference))
    except ServiceException as error:
        if error.code != "ImageAlreadyExistsException":  # the same once more: nothing to do
            raise _refusal(context, tag, error) from None
    headers = {"Location": f"/v2/{context.name}/manifests/{digest}", "Docker-Content-Digest": digest}
    subject = (json.loads(text).get("subject") or {}).get("digest")
    return reply(201, headers | ({"OCI-Subject": str(subject)} if subject else {}))


def _text(context: Context) -> str:
    if (context.request.content_length or 0) > LARGEST:
        raise RegistryError(413, "MANIFEST_INVALID", f"a manifest has at most {LARGEST} bytes")
    try:
        return context.request.get_data().decode("utf-8")
    except UnicodeDecodeError:
        raise RegistryError(400, "MANIFEST_INVALID", "the manifest is not UTF-8") from None


def _refusal(context: Context, tag: str | None, error: ServiceException) -> RegistryError:
    refusal = of_ecr(error)
    if refusal.code == "TAG_INVALID":
        refusal.message = (
            f"The image tag '{tag}' already exists in the '{context.name}' repository and cannot be overwritten "
            f"because the tag is immutable."
        )
    return refusal


def tags(context: Context) -> Response:
    """GET of the list of tags, in order, a page at a time where ``n`` asks for it."""
    known = sorted(tag for image in list(context.repository.images) for tag in image.image_tags)
    after, count = context.request.args.get("last", ""), context.request.args.get("n", type=int)
    left = [tag for tag in known if tag > after]
    page = left if count is None else left[:count]
    headers = dict(API_HEADERS)
    if page and len(page) < len(left):
        headers["Link"] = f'</v2/{context.name}/tags/list?n={count}&last={page[-1]}>; rel="next"'
    return _json({"name": context.name, "tags": page}, "application/json", headers)


def referrers(context: Context, digest: str) -> Response:
    """GET of the manifests whose subject is that digest: signatures, attestations, lists of parts."""
    checked_digest(digest)
    wanted = context.request.args.get("artifactType")
    found = [one for one in (_referrer(image, digest) for image in list(context.repository.images)) if one]
    headers = dict(API_HEADERS)
    if wanted:
        found = [one for one in found if one["artifactType"] == wanted]
        headers["OCI-Filters-Applied"] = "artifactType"
    return _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": found}, INDEX, headers)


def _referrer(image: t.Any, digest: str) -> dict[str, t.Any] | None:
    manifest = json.loads(image.image_manifest)
    if (manifest.get("subject") or {}).get("digest") != digest:
        return None
    descriptor = {
        "mediaType": image.image_manifest_media_type,
        "digest": image.get_image_digest(),
        "size": len(image.image_manifest.encode("utf-8")),
        "artifactType": manifest.get("artifactType") or (manifest.get("config") or {}).get("mediaType", ""),
    }
    return descriptor | ({"annotations": manifest["annotations"]} if manifest.get("annotations") else {})


def _json(document: t.Any, content_type: str, headers: t.Mapping[str, str]) -> Response:
    return Response(json.dumps(document), content_type=content_type, headers=headers)
