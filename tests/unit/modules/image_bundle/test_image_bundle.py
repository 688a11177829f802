# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as a user meets it: options in, JSON and a repository out."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pathlib
import tarfile
import typing as t

import pytest

Run = t.Callable[..., dict[str, t.Any]]


def tags(account: t.Any) -> dict[str, str]:
    """Which digest each tag of the repository names."""
    details = account.describe_images(repositoryName="sd-inference-demo")["imageDetails"]
    return {tag: image["imageDigest"] for image in details for tag in image["imageTags"]}


def test_pushes_once(run: Run, account: t.Any) -> None:
    first, second = run(), run()
    assert (first["changed"], first["pushed"]) == (True, True)
    assert (second["changed"], second["pushed"]) == (False, False)
    assert first["digest"] == second["digest"]
    assert tags(account) == {"1.0.0": first["digest"]}


def test_the_reference_is_pinned(run: Run) -> None:
    result = run()
    assert result["image"] == f"{result['repository']}@{result['digest']}"
    assert result["repository"].endswith("/sd-inference-demo")


def test_another_source_under_the_same_version_is_refused(run: Run, account: t.Any, source: pathlib.Path) -> None:
    first = run()
    (source / "src" / "api_scheduler" / "draw.py").write_text("STEPS = 9\n")
    refused = run()
    assert refused["failed"] is True
    assert "choose a new version" in refused["msg"]
    assert first["digest"] in refused["msg"]
    assert tags(account) == {"1.0.0": first["digest"]}


def test_another_source_under_another_version_is_another_image(run: Run, account: t.Any, source: pathlib.Path) -> None:
    first = run()
    (source / "src" / "api_scheduler" / "draw.py").write_text("STEPS = 9\n")
    second = run(version="1.1.0")
    assert tags(account) == {"1.0.0": first["digest"], "1.1.0": second["digest"]}
    assert first["digest"] != second["digest"]


def test_check_mode_predicts_and_leaves_everything(run: Run, account: t.Any, tmp_path: pathlib.Path) -> None:
    layout = tmp_path / "layout"
    predicted = run(check=True, output=str(layout))
    assert tags(account) == {}
    assert not layout.exists()
    done = run(output=str(layout))
    assert {**done, "invocation": None} == {**predicted, "invocation": None}
    assert run(check=True, output=str(layout))["changed"] is False


def test_diff_tells_what_is_missing(run: Run) -> None:
    first, second = run(), run()
    assert first["diff"]["before"]["pushed"] is None
    assert first["diff"]["after"]["pushed"] == first["digest"]
    assert second["diff"]["before"] == second["diff"]["after"]


def test_layout_is_a_whole_oci_image(run: Run, tmp_path: pathlib.Path, source: pathlib.Path) -> None:
    layout = tmp_path / "layout"
    result = run(output=str(layout))

    def blob(digest: str) -> bytes:
        content = (layout / "blobs" / digest.replace(":", "/")).read_bytes()
        assert "sha256:" + hashlib.sha256(content).hexdigest() == digest
        return content

    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((layout / "index.json").read_text())
    assert [entry["digest"] for entry in index["manifests"]] == [result["digest"]]
    manifest = json.loads(blob(result["digest"]))
    config = json.loads(blob(manifest["config"]["digest"]))
    lock = hashlib.sha256((source / "requirements.txt").read_bytes()).hexdigest()
    assert config["config"]["Labels"] == {
        "org.opencontainers.image.version": "1.0.0",
        "org.diffusion.fleet.lock-sha256": lock,
    }
    assert result["lock_sha256"] == lock
    (layer,) = manifest["layers"]
    tar = gzip.decompress(blob(layer["digest"]))
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(tar).hexdigest()]
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        names = archive.getnames()
    assert "app/src/api_scheduler/draw.py" in names
    assert "app/pyproject.toml" in names


def test_a_damaged_layout_is_written_again(run: Run, tmp_path: pathlib.Path) -> None:
    layout = tmp_path / "layout"
    run(output=str(layout))
    (layout / "index.json").unlink()
    again = run(output=str(layout))
    assert (again["changed"], again["pushed"]) == (True, False)
    assert (layout / "index.json").is_file()


BAD_VERSIONS = ["latest", "none", "None", "", "-1", ".1", "1 0", "1:0", "a/b", "é", "1\n", "v" * 129]


@pytest.mark.parametrize("version", BAD_VERSIONS)
def test_a_version_that_cannot_be_a_tag_is_refused(run: Run, account: t.Any, version: str) -> None:
    refused = run(version=version)
    assert refused["failed"] is True
    assert "version" in refused["msg"]
    assert tags(account) == {}


@pytest.mark.parametrize("gone", ["src/api_scheduler/__init__.py", "pyproject.toml", "requirements.txt"])
def test_an_incomplete_source_is_refused(run: Run, source: pathlib.Path, gone: str) -> None:
    (source / gone).unlink()
    refused = run()
    assert refused["failed"] is True
    assert gone in refused["msg"]
    assert str(source) in refused["msg"]


def test_a_symbolic_link_is_refused(run: Run, source: pathlib.Path) -> None:
    (source / "src" / "api_scheduler" / "link.py").symlink_to("/etc/hostname")
    assert "symbolic link" in run()["msg"]


def test_a_deployment_without_repository_names_the_next_step(run: Run) -> None:
    refused = run(deployment_id="other")
    assert refused["failed"] is True
    assert "sd-inference-other" in refused["msg"]
    assert "provision.yml" in refused["msg"]


def test_a_bad_deployment_id_is_refused(run: Run) -> None:
    assert "deployment_id='Demo_1'" in run(deployment_id="Demo_1")["msg"]


def test_a_repository_may_be_named_instead(run: Run) -> None:
    assert run(deployment_id=None, repository="sd-inference-demo")["pushed"] is True


@pytest.mark.parametrize("deployment_id", [None, "demo"])
def test_one_repository_is_named(run: Run, deployment_id: str | None) -> None:
    repository = "sd-inference-demo" if deployment_id else None
    assert "deployment_id" in run(deployment_id=deployment_id, repository=repository)["msg"]


def test_what_python_leaves_behind_does_not_count(run: Run, source: pathlib.Path) -> None:
    first = run(check=True)["digest"]
    cache = source / "src" / "api_scheduler" / "__pycache__"
    cache.mkdir()
    (cache / "draw.cpython-311.pyc").write_bytes(b"x")
    (source / "src" / "api_scheduler" / ".draw.py.swp").write_bytes(b"x")
    (source / "README.md").write_text("not part of the image")
    assert run(check=True)["digest"] == first
