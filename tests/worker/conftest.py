# SPDX-License-Identifier: Apache-2.0
"""Fixtures: an AWS endpoint on this machine, a fresh deployment, worker processes."""

from __future__ import annotations

import os
import typing as t
import uuid
from pathlib import Path

import pytest

from tests.worker.harness import ROOT, SOURCE, Deployment, StartWorker, Worker, local_aws

os.environ["HF_HUB_OFFLINE"] = "1"  # before the conftest.py of a folder below imports what reads it


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[str]:
    """local_aws for the session."""
    with local_aws(tmp_path_factory.mktemp("local_aws")) as url:
        yield url


@pytest.fixture
def deployment(endpoint: str) -> Deployment:
    """A fresh deployment."""
    return Deployment(endpoint, "t" + uuid.uuid4().hex[:10])


@pytest.fixture(scope="session")
def digits(endpoint: str) -> t.Iterator[Deployment]:
    """A deployment with a worker that draws digits, for tests that only send to it."""
    deployment = Deployment(endpoint, "t" + uuid.uuid4().hex[:10])
    model = ROOT / "worker_app" / "models" / "digits"
    worker = Worker(deployment, {"SD_ENGINE": "diffusers", "SD_MODEL": str(model)})
    worker.until_ready(300)  # importing torch takes seconds, and minutes on a machine that does ten other things
    yield deployment
    worker.close()


@pytest.fixture
def start(deployment: Deployment) -> t.Iterator[StartWorker]:
    """Starts workers of the deployment; stops them at the end."""
    workers: list[Worker] = []

    def begin(extra: dict[str, str] | None = None, source: Path = SOURCE) -> Worker:
        workers.append(Worker(deployment, extra or {}, source))
        return workers[-1]

    yield begin
    for worker in workers:
        worker.close()
