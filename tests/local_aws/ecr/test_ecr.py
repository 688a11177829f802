# SPDX-License-Identifier: Apache-2.0
"""The registry keeps real bytes under their real digests."""

from __future__ import annotations

import collections.abc
import hashlib
import json
import typing as t
import urllib.request

import pytest
from botocore.exceptions import ClientError

from local_aws.harness import Harness


@pytest.fixture
def harness() -> collections.abc.Iterator[Harness]:
    with Harness() as running:
        yield running


@pytest.fixture
def ecr(harness: Harness) -> t.Any:
    client = harness.client("ecr")
    client.create_repository(repositoryName="repo", imageTagMutability="IMMUTABLE")
    return client


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def upload(ecr: t.Any, data: bytes, digest: str | None = None) -> str:
    identity = ecr.initiate_layer_upload(repositoryName="repo")["uploadId"]
    ecr.upload_layer_part(
        repositoryName="repo", uploadId=identity, partFirstByte=0, partLastByte=len(data) - 1, layerPartBlob=data
    )
    reply = ecr.complete_layer_upload(
        repositoryName="repo", uploadId=identity, layerDigests=[digest or digest_of(data)]
    )
    return str(reply["layerDigest"])


def manifest(config: str, layer: str, note: str = "") -> str:
    media = "application/vnd.oci.image.manifest.v1+json"
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media,
            "config": {"digest": config, "size": 2},
            "layers": [{"digest": layer, "size": 5}],
            "annotations": {"note": note},
        }
    )


def push(ecr: t.Any, tag: str, note: str = "") -> dict[str, t.Any]:
    text = manifest(digest_of(b"{}"), digest_of(b"layer"), note)
    return t.cast("dict[str, t.Any]", ecr.put_image(repositoryName="repo", imageManifest=text, imageTag=tag)["image"])


@pytest.fixture
def layers(ecr: t.Any) -> None:
    upload(ecr, b"{}")
    upload(ecr, b"layer")


def test_a_layer_must_have_the_digest_that_is_named(ecr: t.Any) -> None:
    with pytest.raises(ecr.exceptions.InvalidLayerException):
        upload(ecr, b"layer", digest_of(b"other"))
    upload(ecr, b"layer")
    with pytest.raises(ecr.exceptions.LayerAlreadyExistsException):
        upload(ecr, b"layer")
    found = ecr.batch_check_layer_availability(
        repositoryName="repo", layerDigests=[digest_of(b"layer"), digest_of(b"no")]
    )
    assert ([e["layerAvailability"] for e in found["layers"]], len(found["failures"])) == (["AVAILABLE"], 1)


@pytest.mark.usefixtures("layers")
def test_the_digest_of_an_image_is_that_of_its_manifest(ecr: t.Any) -> None:
    first, second = push(ecr, "1"), push(ecr, "2", "same layers")
    assert first["imageId"]["imageDigest"] == digest_of(first["imageManifest"].encode())
    assert second["imageId"]["imageDigest"] != first["imageId"]["imageDigest"]
    got = ecr.batch_get_image(repositoryName="repo", imageIds=[{"imageTag": "1"}])["images"][0]
    assert got["imageManifest"] == first["imageManifest"]


@pytest.mark.usefixtures("layers")
def test_an_immutable_tag_does_not_move(ecr: t.Any) -> None:
    push(ecr, "1")
    with pytest.raises(ecr.exceptions.ImageAlreadyExistsException):
        push(ecr, "1")
    with pytest.raises(ecr.exceptions.ImageTagAlreadyExistsException):
        push(ecr, "1", "another")


@pytest.mark.usefixtures("layers")
def test_one_digest_may_have_two_tags(ecr: t.Any) -> None:
    push(ecr, "1")
    push(ecr, "latest")
    images = ecr.describe_images(repositoryName="repo")["imageDetails"]
    assert [sorted(image["imageTags"]) for image in images] == [["1", "latest"]]


def test_an_image_needs_its_layers(ecr: t.Any) -> None:
    with pytest.raises(ecr.exceptions.LayersNotFoundException):
        push(ecr, "1")


@pytest.mark.usefixtures("layers")
def test_a_layer_can_be_downloaded(ecr: t.Any) -> None:
    url = ecr.get_download_url_for_layer(repositoryName="repo", layerDigest=digest_of(b"layer"))["downloadUrl"]
    with urllib.request.urlopen(url, timeout=60) as reply:
        assert reply.read() == b"layer"
    with pytest.raises(ClientError, match="LayersNotFound"):
        ecr.get_download_url_for_layer(repositoryName="repo", layerDigest=digest_of(b"other"))


def test_a_token_is_valid_for_hours(harness: Harness, ecr: t.Any) -> None:
    expiry = ecr.get_authorization_token()["authorizationData"][0]["expiresAt"]
    assert (expiry - harness.clock.now()).total_seconds() == 12 * 3600
