# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The API calls that push an image without an engine, one function each."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import aws_call
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import AwsError, NotFound
from ansible_collections.diffusion.fleet.plugins.module_utils._images.oci import (
    INDEX_TYPE,
    MANIFEST_TYPE,
    Blob,
)

BATCH = 100  # the most layers that one BatchCheckLayerAvailability takes
MEDIA_TYPES = [
    MANIFEST_TYPE,
    INDEX_TYPE,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
]


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A manifest as the repository keeps it, byte for byte."""

    digest: str
    media_type: str
    text: str


def find_repository_uri(client: t.Any, repository: str) -> str:
    """``<registry>/<repository>``. Raises NotFound."""
    try:
        return describe_repository(client, repository)
    except AwsError as error:
        if error.details.get("code") != "RepositoryNotFoundException":
            raise
        raise NotFound(
            f"repository={repository} does not exist in this account and region. "
            "Run provision.yml for the deployment first."
        ) from error


@aws_call("read the repository")
def describe_repository(client: t.Any, repository: str) -> str:
    """The repository's URI."""
    found = client.describe_repositories(repositoryNames=[repository])["repositories"]
    return str(found[0]["repositoryUri"])


def pushed_digest(client: t.Any, repository: str, version: str) -> str | None:
    """The digest of the image that bears the tag, or None."""
    try:
        return describe_image(client, repository, version)
    except AwsError as error:
        if error.details.get("code") == "ImageNotFoundException":
            return None
        raise


@aws_call("look for the image")
def describe_image(client: t.Any, repository: str, version: str) -> str:
    """The digest of the image that bears the tag."""
    found = client.describe_images(repositoryName=repository, imageIds=[{"imageTag": version}])["imageDetails"]
    return str(found[0]["imageDigest"])


@aws_call("read the image's manifest")
def find_manifest(client: t.Any, repository: str, image_id: t.Mapping[str, str]) -> Manifest | None:
    """The manifest of ``{"imageTag": …}`` or ``{"imageDigest": …}``, or None."""
    reply = client.batch_get_image(repositoryName=repository, imageIds=[dict(image_id)], acceptedMediaTypes=MEDIA_TYPES)
    for image in reply["images"]:
        media_type = image.get("imageManifestMediaType") or MANIFEST_TYPE
        return Manifest(image["imageId"]["imageDigest"], media_type, image["imageManifest"])
    return None


@aws_call("ask where a layer is")
def download_url(client: t.Any, repository: str, digest: str) -> str:
    """A link to the bytes of that blob, valid for some minutes."""
    return str(client.get_download_url_for_layer(repositoryName=repository, layerDigest=digest)["downloadUrl"])


@aws_call("check which layers the repository holds")
def missing_blobs(client: t.Any, repository: str, blobs: t.Sequence[Blob]) -> list[Blob]:
    """The blobs that the repository does not hold."""
    wanted = [blob.digest for blob in blobs][:BATCH]
    reply = client.batch_check_layer_availability(repositoryName=repository, layerDigests=wanted)
    held = {layer["layerDigest"] for layer in reply["layers"] if layer.get("layerAvailability") == "AVAILABLE"}
    return [blob for blob in blobs if blob.digest not in held]


@aws_call("start the upload of a layer")
def initiate_upload(client: t.Any, repository: str) -> tuple[str, int]:
    """The upload's id, and the size of part that the registry wants."""
    reply = client.initiate_layer_upload(repositoryName=repository)
    return str(reply["uploadId"]), int(reply["partSize"])


@aws_call("upload a part of a layer")
def upload_part(client: t.Any, repository: str, upload_id: str, first: int, part: bytes) -> None:
    """Send one part, which starts at byte ``first``."""
    client.upload_layer_part(
        repositoryName=repository,
        uploadId=upload_id,
        partFirstByte=first,
        partLastByte=first + len(part) - 1,
        layerPartBlob=part,
    )


@aws_call("complete the upload of a layer")
def complete_upload(client: t.Any, repository: str, upload_id: str, digest: str) -> None:
    """Close the upload; the registry checks the digest."""
    client.complete_layer_upload(repositoryName=repository, uploadId=upload_id, layerDigests=[digest])


def upload_missing(client: t.Any, repository: str, blobs: t.Sequence[Blob]) -> None:
    """Bring in what the repository does not hold: it takes a manifest only with everything that it names."""
    for blob in missing_blobs(client, repository, blobs):
        upload_blob(client, repository, blob)


def upload_blob(client: t.Any, repository: str, blob: Blob) -> None:
    """Bring one blob into the repository, in the parts that the registry asks for."""
    upload_id, size = initiate_upload(client, repository)
    for first in range(0, len(blob.content), size):
        upload_part(client, repository, upload_id, first, blob.content[first : first + size])
    try:
        complete_upload(client, repository, upload_id, blob.digest)
    except AwsError as error:  # somebody else has brought the same bytes meanwhile
        if error.details.get("code") != "LayerAlreadyExistsException":
            raise


@aws_call("push the image")
def put_image(client: t.Any, repository: str, manifest: Blob, version: str) -> None:
    """Give the tag to the manifest; the registry refuses a digest that is not the manifest's."""
    client.put_image(
        repositoryName=repository,
        imageManifest=manifest.content.decode("utf-8"),
        imageManifestMediaType=manifest.media_type,
        imageTag=version,
        imageDigest=manifest.digest,
    )
