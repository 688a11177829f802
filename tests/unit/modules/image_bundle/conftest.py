# SPDX-License-Identifier: GPL-3.0-or-later
"""A small worker application on disk, an account in this process, and the module run through ``main``."""

from __future__ import annotations

import json
import pathlib
import typing as t

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from moto import mock_aws

from ansible_collections.diffusion.fleet.plugins.modules import image_bundle

REGION = "us-east-1"
REPOSITORY = "sd-inference-demo"

Run = t.Callable[..., dict[str, t.Any]]


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[t.Any]:
    """An ECR client of an account that has the deployment's repository."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        ecr = boto3.client("ecr", region_name=REGION)
        ecr.create_repository(repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE")
        yield ecr


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    """A worker application of three files."""
    root = tmp_path / "worker"
    package = root / "src" / "api_scheduler"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "1.0.0"\n')
    (package / "draw.py").write_text("STEPS = 8\n")
    (root / "pyproject.toml").write_text('[project]\nname = "api-scheduler"\n')
    (root / "requirements.txt").write_text("numpy==2.4.6\n")
    return root


@pytest.fixture
def run(account: t.Any, source: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the module with these options over a working set; its JSON result."""

    def runner(*, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        base = {"deployment_id": "demo", "version": "1.0.0", "source": str(source), "region": REGION}
        given = {key: value for key, value in {**base, **options}.items() if value is not None}
        with patch_module_args({**given, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            image_bundle.main()
        return t.cast(dict[str, t.Any], json.loads(capsys.readouterr().out))

    return runner
