# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's tarball holds the collection, all of it, and nothing else of the repository."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = {"LICENSES", "changelogs", "docs", "extensions", "meta", "playbooks", "plugins", "roles"}
TOP_FILES = {
    "CHANGELOG.md",
    "CHANGELOG.rst",
    "CONTRIBUTING.md",
    "COPYING",
    "FILES.json",
    "MANIFEST.json",
    "README.md",
    "REUSE.toml",
    "TESTING.md",
    "execution-environment.yml",
    "requirements-controller.txt",
    "requirements.yml",
}
WHOLE_FOLDERS = ("plugins/", "roles/", "playbooks/", "meta/")

pytestmark = pytest.mark.slow


def tracked() -> set[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {path for path in listed.stdout.splitlines() if (ROOT / path).exists()}


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as ``ansible-galaxy`` builds it from the files that git tracks, as on a fresh clone."""
    work = tmp_path_factory.mktemp("build")
    clone = work / "clone"
    clone.mkdir()
    subprocess.run(
        ["xargs", "-0", "cp", "--parents", "--no-dereference", "--target-directory", str(clone)],
        input="\0".join(sorted(tracked())),
        cwd=ROOT,
        text=True,
        check=True,
    )
    galaxy = Path(sys.executable).with_name("ansible-galaxy")
    subprocess.run([galaxy, "collection", "build", "--output-path", work, clone], check=True, capture_output=True)
    (built,) = work.glob("*.tar.gz")
    return built


@pytest.fixture(scope="module")
def members(tarball: Path) -> set[str]:
    with tarfile.open(tarball) as archive:
        return {member.name for member in archive.getmembers() if not member.isdir()}


def test_is_named_after_the_collection(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        manifest = archive.extractfile("MANIFEST.json")
        assert manifest is not None
        info = json.load(manifest)["collection_info"]
    assert tarball.name == f"diffusion-fleet-{info['version']}.tar.gz"
    assert set(info["dependencies"]) == {"amazon.aws", "community.aws", "community.docker"}


def test_holds_nothing_but_the_collection(members: set[str]) -> None:
    stray = {name for name in members if "/" not in name} - TOP_FILES
    stray |= {name for name in members if "/" in name and name.split("/")[0] not in FOLDERS}
    assert not stray


def test_holds_nothing_that_is_made_on_a_machine(members: set[str]) -> None:
    assert not [name for name in members if "__pycache__" in name or name.endswith((".pyc", ".log", ".orig", ".swp"))]


def test_holds_every_file_of_the_collection(members: set[str]) -> None:
    wanted = {path for path in tracked() if path.startswith(WHOLE_FOLDERS)}
    assert wanted - members == set()


def test_brings_the_licence_and_the_documents(members: set[str]) -> None:
    assert {"LICENSES/GPL-3.0-or-later.txt", "README.md", "requirements.yml", "meta/runtime.yml"} <= members
