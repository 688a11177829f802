# SPDX-License-Identifier: GPL-3.0-or-later
"""A document beside an image: found by its tag and by its subject, pushed once, never replaced."""

from __future__ import annotations

import json
import pathlib
import typing as t
import urllib.request

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._release import registry as release_registry
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from tests.support.pushed_images import REPOSITORY, Registry

Run = t.Callable[..., dict[str, t.Any]]


@pytest.fixture
def document(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "sbom.cdx.json"
    path.write_text('{"bomFormat": "CycloneDX"}')
    return path


def manifest_of(registry: Registry, **image: str) -> str:
    """A manifest as the registry keeps it."""
    reply = registry.ecr.batch_get_image(repositoryName=REPOSITORY, imageIds=[image])
    return str(reply["images"][0]["imageManifest"])


def test_it_is_attached_once(run: Run, registry: Registry, document: pathlib.Path) -> None:
    digest = registry.push("1.0.0", {})
    options = {"digest": digest, "path": str(document)}
    predicted = run("image_attachment", check=True, **options)
    first, second = run("image_attachment", **options), run("image_attachment", **options)
    assert (predicted["changed"], first["changed"], second["changed"]) == (True, True, False)
    assert {predicted["digest"], second["digest"]} == {first["digest"]}


def test_check_mode_attaches_nothing(run: Run, registry: Registry, document: pathlib.Path) -> None:
    digest = registry.push("1.0.0", {})
    run("image_attachment", check=True, digest=digest, path=str(document))
    images = registry.ecr.describe_images(repositoryName=REPOSITORY)["imageDetails"]
    assert [image["imageTags"] for image in images] == [["1.0.0"]]


def test_it_refers_to_the_image_and_holds_the_document(run: Run, registry: Registry, document: pathlib.Path) -> None:
    digest = registry.push("1.0.0", {})
    tag = run("image_attachment", digest=digest, path=str(document))["tag"]
    image, manifest = manifest_of(registry, imageDigest=digest), json.loads(manifest_of(registry, imageTag=tag))
    assert manifest["subject"] == {
        "mediaType": json.loads(image)["mediaType"],
        "digest": digest,
        "size": len(image.encode()),
    }
    assert manifest["artifactType"] == "application/vnd.cyclonedx+json"
    (layer,) = manifest["layers"]
    assert layer["annotations"] == {"org.opencontainers.image.title": document.name}
    url = registry.ecr.get_download_url_for_layer(repositoryName=REPOSITORY, layerDigest=layer["digest"])["downloadUrl"]
    with urllib.request.urlopen(url, timeout=60) as response:
        assert response.read() == document.read_bytes()


def test_kind_and_type_are_those_that_are_given(run: Run, registry: Registry, document: pathlib.Path) -> None:
    digest = registry.push("1.0.0", {})
    done = run("image_attachment", digest=digest, path=str(document), kind="att", media_type="application/vnd.in-toto")
    assert done["tag"] == f"{digest.replace(':', '-')}.att"
    manifest = json.loads(manifest_of(registry, imageTag=done["tag"]))
    assert {manifest["artifactType"], manifest["layers"][0]["mediaType"]} == {"application/vnd.in-toto"}


def test_another_document_is_refused(run: Run, registry: Registry, document: pathlib.Path) -> None:
    options = {"digest": registry.push("1.0.0", {}), "path": str(document)}
    run("image_attachment", **options)
    document.write_text("{}")
    refused = run("image_attachment", **options)
    assert refused["failed"] is True and "never overwritten" in refused["msg"]


def test_an_image_that_is_not_there_is_named(run: Run, document: pathlib.Path) -> None:
    digest = "sha256:" + "a" * 64
    assert f"no image {digest}" in run("image_attachment", digest=digest, path=str(document))["msg"]


def test_a_document_that_is_not_there_is_named(run: Run, registry: Registry, tmp_path: pathlib.Path) -> None:
    refused = run("image_attachment", digest=registry.push("1.0.0", {}), path=str(tmp_path / "none"))
    assert refused["msg"] == f"path={tmp_path / 'none'} cannot be read: No such file or directory."


def test_a_release_does_not_take_it_for_a_version(run: Run, registry: Registry, document: pathlib.Path) -> None:
    digest = registry.push("1.0.0", {})
    run("image_attachment", digest=digest, path=str(document))
    assert release_registry.resolve(registry.ecr, Names("demo"), None) == [("1.0.0", digest)]
