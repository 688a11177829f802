# SPDX-License-Identifier: Apache-2.0
"""The registry: digests of the real bytes, layers kept and checked, immutable tags, downloads."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import typing as t

from moto.core.responses import ActionResult
from moto.ecr import exceptions

from local_aws import store
from local_aws.errors import AwsError
from local_aws.services import blobs

_DIGEST = "sha256:"
_TOKEN_HOURS = 12


def install() -> None:
    """Replace the parts of moto's registry that do not keep or check bytes."""
    from moto.ecr.models import ECRBackend
    from moto.ecr.responses import ECRResponse

    setattr(ECRBackend, "put_image", put_image)
    setattr(ECRBackend, "complete_layer_upload", complete_layer_upload)
    setattr(ECRResponse, "get_download_url_for_layer", get_download_url_for_layer)
    setattr(ECRResponse, "get_authorization_token", get_authorization_token)


def digest_of(data: bytes) -> str:
    """The digest of some bytes, as OCI writes it."""
    return _DIGEST + hashlib.sha256(data).hexdigest()


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
    if repository.is_tag_immutable():
        raise AwsError(
            "ImageTagAlreadyExistsException",
            f"The image tag '{tag}' already exists {where} and cannot be overwritten because the tag is immutable.",
        )


def _check_layers(repository: t.Any, manifest: dict[str, t.Any]) -> None:
    wanted = [
        entry["digest"] for entry in [manifest.get("config") or {}, *manifest.get("layers", [])] if "digest" in entry
    ]
    missing = [digest for digest in wanted if digest not in repository.layers]
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
            image.update_tag(tag)
            return image
    image = Image(backend.account_id, t.cast(str, tag), manifest, repository.name, media_type, digest)
    setattr(image, "image_pushed_at", store.bound().clock.now())
    repository.images.append(image)
    return image


def complete_layer_upload(
    backend: t.Any,
    repository_name: str,
    upload_id: str,
    layer_digests: list[str],
    registry_id: str | None = None,
) -> dict[str, t.Any]:
    """CompleteLayerUpload: the bytes must have the digest that the client names; they are kept."""
    repository = backend._get_repository(repository_name, registry_id)
    upload = repository.uploads.get(upload_id)
    if upload is None:
        raise exceptions.UploadNotFoundException(upload_id, repository_name, repository.registry_id)
    data = bytes(upload.layer_parts)
    digest = digest_of(data)
    if not data:
        raise AwsError("EmptyUploadException", "The layer upload does not contain any layer parts.")
    if digest not in layer_digests:
        raise AwsError("InvalidLayerException", f"Layer digest '{digest}' of the upload is not one of {layer_digests}")
    if digest in repository.layers:
        raise AwsError(
            "LayerAlreadyExistsException", f"Layer with digest '{digest}' already exists in '{repository_name}'"
        )
    repository.layers[digest] = len(data)
    repository.__dict__.setdefault("blobs", {})[digest] = data
    del repository.uploads[upload_id]
    return {
        "registryId": repository.registry_id,
        "repositoryName": repository_name,
        "uploadId": upload_id,
        "layerDigest": digest,
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
    """GetAuthorizationToken: valid for 12 hours from now."""
    registries = response._get_param("registryIds") or [response.current_account]
    expiry = store.bound().clock.now() + dt.timedelta(hours=_TOKEN_HOURS)
    return ActionResult(
        {
            "authorizationData": [
                {
                    "authorizationToken": base64.b64encode(f"AWS:{registry}-auth-token".encode()).decode(),
                    "expiresAt": expiry,
                    "proxyEndpoint": f"https://{registry}.dkr.ecr.{response.region}.amazonaws.com",
                }
                for registry in registries
            ]
        }
    )
