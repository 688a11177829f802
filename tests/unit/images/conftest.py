# SPDX-License-Identifier: GPL-3.0-or-later
"""A local AWS with a repository, a worker application on disk, and images as an engine pushes them."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.diffusion.fleet.plugins.modules import image_attachment, image_plan
from local_aws.harness import Harness
from tests.support.pushed_images import REPOSITORY, Registry

MODULES = {"image_plan": image_plan, "image_attachment": image_attachment}

Run = t.Callable[..., dict[str, t.Any]]


@pytest.fixture
def harness() -> t.Iterator[Harness]:
    with Harness() as running:
        running.client("ecr").create_repository(repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE")
        yield running


@pytest.fixture
def registry(harness: Harness) -> Registry:
    return Registry(harness.client("ecr"))


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    """A worker application that an engine can build."""
    root = tmp_path / "worker"
    for path, text in {
        "src/api_scheduler/__init__.py": "",
        "pyproject.toml": "[project]\n",
        "requirements.txt": "numpy==2.4.6\n",
        "Dockerfile": "FROM scratch\n",
        "locks/noop.txt": "numpy==2.4.6 --hash=sha256:00\n",
        "locks/cuda.txt": "torch==2.13.0 --hash=sha256:00\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.fixture
def run(harness: Harness, source: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a module with these options over a working set; its JSON result."""
    account = {"region": "us-east-1", "endpoint_url": harness.endpoint, "access_key": "local", "secret_key": "local"}
    build = {"version": "1.0.0", "source": str(source), "base_image": "python:3.11", "requirements": "noop"}

    def runner(name: str = "image_plan", *, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        base = {"deployment_id": "demo", **account, **(build if name == "image_plan" else {})}
        with patch_module_args({**base, **options, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            MODULES[name].main()
        return t.cast(dict[str, t.Any], json.loads(capsys.readouterr().out))

    return runner
