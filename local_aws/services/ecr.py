# SPDX-License-Identifier: Apache-2.0
"""The registry: digests of the real bytes, layers kept and checked, immutable tags, downloads."""

from __future__ import annotations

import base64
import fnmatch
import json
import threading
import typing as t

from moto.core.responses import ActionResult
from moto.ecr import exceptions

from local_aws import store
from local_aws.errors import AwsError
from local_aws.registry import tokens
from local_aws.services import blobs
from local_aws.services.blobs import digest_of

_PART_SIZE = 20 * 1024 * 1024
_tagging = threading.Lock()
"""Two pushes of one tag at the same time: the second finds what the first has made."""


def install() -> None:
    """Replace the parts of moto's registry that do not keep or check bytes."""
    from moto.ecr.models import ECRBackend, Image
    from moto.ecr.responses import ECRResponse

    setattr(Image, "get_image_size_in_bytes", image_size)
    setattr(ECRBackend, "put_image", put_image)
    setattr(ECRBackend, "initiate_layer_upload", initiate_layer_upload)
    setattr(ECRBackend, "upload_layer_part", upload_layer_part)
    setattr(ECRBackend, "complete_layer_upload", complete_layer_upload)
    setattr(ECRResponse, "get_download_url_for_layer", get_download_url_for_layer)
    setattr(ECRResponse, "get_authorization_token", get_authorization_token)


def image_size(image: t.Any) -> int | None:
    """imageSizeInBytes: the layers as they lie in the registry, compressed. An index has none."""
    manifest = json.loads(image.image_manifest)
    return sum(int(layer.get("size", 0)) for layer in manifest["layers"]) if "layers" in manifest else None


def put_image(
    backend: t.Any,
    repository_name: str,
    image_manifest: str,
    image_tag: str | None,
    image_manifest_mediatype: str | None = None,
    digest: str | None = None,
) -> t.Any:
    """PutImage: the digest is that of the manifest's bytes, an immutable tag never moves."""
    repository = backend._get_repository(repository_name)
    manifest = _parse_manifest(image_manifest)
    real = digest_of(image_manifest.encode("utf-8"))
    if digest and digest != real:
        raise AwsError("ImageDigestDoesNotMatchException", f"imageDigest {digest} is not the manifest's, {real}")
    media_type = image_manifest_mediatype or manifest.get("mediaType")
    if not media_type:
        raise exceptions.InvalidParameterException("image manifest mediatype not provided in manifest or parameter")
    with _tagging:
        _check_tag(repository, image_tag, real)
        _check_layers(repository, manifest)
        return _tag(backend, repository, image_manifest, media_type, image_tag, real)


def _parse_manifest(text: str) -> dict[str, t.Any]:
    try:
        manifest = json.loads(text)
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict):
        raise exceptions.InvalidParameterException(
            "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"
        )
    return manifest


def _check_tag(repository: t.Any, tag: str | None, digest: str) -> None:
    holder = next((image for image in repository.images if tag in image.image_tags), None)
    where = f"in the repository with name '{repository.name}' in registry with id '{repository.registry_id}'"
    if holder is None or tag is None:
        return
    if holder.get_image_digest() == digest:
        raise AwsError(
            "ImageAlreadyExistsException", f"Image with digest '{digest}' and tag '{tag}' already exists {where}"
        )
    if _is_immutable(repository, tag):
        raise AwsError(
            "ImageTagAlreadyExistsException",
            f"The image tag '{tag}' already exists {where} and cannot be overwritten because the tag is immutable.",
        )


def _is_immutable(repository: t.Any, tag: str) -> bool:
    """Whether that tag may not move: the filters of the repository make exceptions, either way."""
    filters = repository.image_tag_mutability_exclusion_filters or []
    excluded = any(fnmatch.fnmatchcase(tag, one["filter"]) for one in filters)
    return bool(repository.is_tag_immutable()) != excluded


def _check_layers(repository: t.Any, manifest: dict[str, t.Any]) -> None:
    wanted = [
        entry["digest"] for entry in [manifest.get("config") or {}, *manifest.get("layers", [])] if "digest" in entry
    ]
    missing = [digest for digest in wanted if digest not in repository.layers]
    known = {image.get_image_digest() for image in repository.images}
    absent = [entry["digest"] for entry in manifest.get("manifests", []) if entry.get("digest") not in known]
    if absent:
        raise AwsError(
            "ReferencedImagesNotFoundException",
            f"The images with digests '{', '.join(absent)}' that the manifest list references do not exist in the "
            f"repository with name '{repository.name}' in the registry with id '{repository.registry_id}'",
        )
    if missing:
        raise AwsError(
            "LayersNotFoundException",
            f"Layers with digests '{', '.join(missing)}' required for pushing image into repository with name "
            f"'{repository.name}' in the registry with id '{repository.registry_id}' do not exist",
        )


def _tag(backend: t.Any, repository: t.Any, manifest: str, media_type: str, tag: str | None, digest: str) -> t.Any:
    from moto.ecr.models import Image

    for holder in repository.images:
        holder.remove_tag(tag)
    for image in repository.images:
        if image.get_image_digest() == digest:
            if tag is not None:  # without a tag it has the ones that it had
                image.update_tag(tag)
            return image
    image = Image(backend.account_id, t.cast(str, tag), manifest, repository.name, media_type, digest)
    setattr(image, "image_pushed_at", store.bound().clock.now())
    repository.images.append(image)
    return image


def initiate_layer_upload(backend: t.Any, repository_name: str, registry_id: str | None = None) -> dict[str, t.Any]:
    """InitiateLayerUpload: a file on disk to begin with."""
    upload = start_upload(backend._get_repository(repository_name, registry_id))
    return {"uploadId": upload.upload_id, "partSize": _PART_SIZE}


def start_upload(repository: t.Any) -> blobs.Upload:
    """An upload into that repository."""
    upload = blobs.Upload(repository.name)
    repository.uploads[upload.upload_id] = upload
    return upload


def upload_layer_part(
    backend: t.Any,
    repository_name: str,
    upload_id: str,
    part_first_byte: int,
    part_last_byte: int,
    layer_part_blob: bytes,
    registry_id: str | None = None,
) -> dict[str, t.Any]:
    """UploadLayerPart: each part begins where the one before ended."""
    repository = backend._get_repository(repository_name, registry_id)
    upload = _find_upload(repository, upload_id)
    with upload.lock:
        if part_first_byte != upload.size:
            raise exceptions.InvalidLayerPartException(
                repository.registry_id, repository_name, upload_id, upload.last_byte_received
            )
        upload.add(layer_part_blob or b"")
    return {
        "registryId": repository.registry_id,
        "repositoryName": repository_name,
        "uploadId": upload_id,
        "lastByteReceived": upload.last_byte_received,
    }


def _find_upload(repository: t.Any, upload_id: str) -> blobs.Upload:
    upload: blobs.Upload | None = repository.uploads.get(upload_id)
    if upload is None:
        raise exceptions.UploadNotFoundException(upload_id, repository.name, repository.registry_id)
    return upload


def complete_layer_upload(
    backend: t.Any,
    repository_name: str,
    upload_id: str,
    layer_digests: list[str],
    registry_id: str | None = None,
) -> dict[str, t.Any]:
    """CompleteLayerUpload: the bytes must have the digest that the client names; they are kept."""
    repository = backend._get_repository(repository_name, registry_id)
    upload = _find_upload(repository, upload_id)
    with upload.lock:
        if not upload.size:
            raise AwsError("EmptyUploadException", "The layer upload does not contain any layer parts.")
        if upload.digest not in layer_digests:
            raise AwsError(
                "InvalidLayerException", f"Layer digest '{upload.digest}' of the upload is not one of {layer_digests}"
            )
        if upload.digest in repository.layers:
            raise AwsError(
                "LayerAlreadyExistsException",
                f"Layer with digest '{upload.digest}' already exists in '{repository_name}'",
            )
        blobs.keep(repository, upload.blob())
        repository.uploads.pop(upload_id, None)
    return {
        "registryId": repository.registry_id,
        "repositoryName": repository_name,
        "uploadId": upload_id,
        "layerDigest": upload.digest,
    }


def get_download_url_for_layer(response: t.Any) -> ActionResult:
    """GetDownloadUrlForLayer: a link on this server that really serves the bytes."""
    name, digest = response._get_param("repositoryName"), response._get_param("layerDigest")
    repository = response.ecr_backend._get_repository(name, response._get_param("registryId"))
    if digest not in repository.layers:
        raise AwsError("LayersNotFoundException", f"Layer with digest '{digest}' does not exist in '{name}'")
    host = response.normalized_request.host_url.rstrip("/")
    return ActionResult({"downloadUrl": f"{host}{blobs.PREFIX}{name}/blobs/{digest}", "layerDigest": digest})


def get_authorization_token(response: t.Any) -> ActionResult:
    """GetAuthorizationToken: a password of the registry, valid for 12 hours or as long as the settings say."""
    registries = response._get_param("registryIds") or [response.current_account]
    return ActionResult(
        {"authorizationData": [_authorization(str(registry), response.region) for registry in registries]}
    )


def _authorization(registry: str, region: str) -> dict[str, t.Any]:
    world = store.bound()
    password, expires = tokens.issue(world.token_secret, registry, world.now(), world.settings.registry_token_seconds)
    return {
        "authorizationToken": base64.b64encode(f"{tokens.USER}:{password}".encode()).decode(),
        "expiresAt": expires,
        "proxyEndpoint": f"https://{registry}.dkr.ecr.{region}.amazonaws.com",
    }
