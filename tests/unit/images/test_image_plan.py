# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as the playbook meets it: a source on disk, a repository, and what there is to do."""

from __future__ import annotations

import hashlib
import pathlib
import typing as t

import pytest
from moto.ecr.models import ecr_backends

from local_aws.services import blobs
from local_aws.store import ACCOUNT, REGION
from tests.support.pushed_images import REPOSITORY, Registry

Run = t.Callable[..., dict[str, t.Any]]
LABEL = "org.diffusion.fleet.source-sha256"


def built(run: Run, registry: Registry, version: str = "1.0.0") -> str:
    """Push what the plan of that version asks for; the image's digest."""
    return registry.push(version, {LABEL: run(version=version)["source_sha256"]})


def test_a_version_that_is_not_there_is_to_be_built(run: Run, source: pathlib.Path) -> None:
    plan = run()
    assert (plan["build"], plan["changed"], plan["digest"], plan["image"]) == (True, False, None, None)
    assert plan["repository"] == f"{plan['registry']}/sd-inference-demo"
    assert plan["build_args"] == {
        "REQUIREMENTS": "noop",
        "VERSION": "1.0.0",
        "LOCK_SHA256": hashlib.sha256((source / "requirements.txt").read_bytes()).hexdigest(),
        "SOURCE_SHA256": plan["source_sha256"],
    }


def test_the_same_content_is_not_built_again(run: Run, registry: Registry) -> None:
    digest = built(run, registry)
    plan = run()
    assert (plan["build"], plan["digest"]) == (False, digest)
    assert plan["image"] == f"{plan['repository']}@{digest}"


def test_the_same_content_may_have_another_version(run: Run, registry: Registry) -> None:
    built(run, registry)
    assert run(version="1.0.1")["build"] is True


@pytest.mark.parametrize("path", ["src/api_scheduler/__init__.py", "pyproject.toml", "Dockerfile", "locks/noop.txt"])
def test_other_content_is_refused(run: Run, registry: Registry, source: pathlib.Path, path: str) -> None:
    digest = built(run, registry)
    (source / path).write_text("# another\n")
    refused = run()
    assert refused["failed"] is True and refused["pushed_digest"] == digest
    assert "choose a new version" in refused["msg"]


@pytest.mark.parametrize("option", [{"base_image": "python:3.12"}, {"requirements": "cuda"}])
def test_other_arguments_are_other_content(run: Run, registry: Registry, option: dict[str, str]) -> None:
    built(run, registry)
    assert run(**option)["failed"] is True


def test_what_the_image_does_not_get_is_no_content(run: Run, registry: Registry, source: pathlib.Path) -> None:
    built(run, registry)
    (source / "locks" / "cuda.txt").write_text("# another\n")
    (source / "src" / "api_scheduler" / "__pycache__").mkdir()
    (source / "src" / "api_scheduler" / "__pycache__" / "x.pyc").write_bytes(b"")
    assert run()["build"] is False


def test_an_image_of_unknown_content_is_refused(run: Run, registry: Registry) -> None:
    registry.push("1.0.0", {})
    assert "by something else than a build" in run()["msg"]


def test_the_labels_of_an_index_are_those_of_its_image(run: Run, registry: Registry) -> None:
    digest = built(run, registry, "built")
    index = registry.push_index("1.0.0", digest)
    assert (run()["build"], run()["digest"]) == (False, index)


def test_bytes_that_are_not_those_of_the_digest_are_not_believed(run: Run, registry: Registry) -> None:
    built(run, registry)
    kept = blobs.of(ecr_backends[ACCOUNT][REGION].repositories[REPOSITORY])
    config, layer = kept
    kept[config] = kept[layer]
    assert f"gives out as {config} has other bytes" in run()["msg"]
    del kept[config]
    assert f"does not give {config} out: HTTP Error 404" in run()["msg"]


def test_what_is_attached_is_told(run: Run, registry: Registry) -> None:
    digest = built(run, registry)
    assert (run()["sbom"], run()["signed"]) == (False, False)
    registry.push(f"{digest.replace(':', '-')}.sig", {}, b"signature")
    assert (run()["sbom"], run()["signed"]) == (False, True)
    registry.push(f"{digest.replace(':', '-')}.sbom", {}, b"bill")
    assert (run()["sbom"], run()["signed"]) == (True, True)


@pytest.mark.parametrize("version", ["latest", "sha256-" + "a" * 64 + ".sig"])
def test_versions_that_would_be_taken_for_something_else_are_refused(run: Run, version: str) -> None:
    assert run(version=version)["failed"] is True


def test_a_source_without_a_lock_file_is_refused_with_the_next_step(run: Run) -> None:
    assert "make locks" in run(requirements="cpu")["msg"]
