# SPDX-License-Identifier: Apache-2.0
"""Fixtures: an AWS endpoint on this machine, a fresh deployment, worker processes."""

from __future__ import annotations

import subprocess
import sys
import typing as t
import uuid
from pathlib import Path

import pytest

from tests.worker.harness import ROOT, SOURCE, Deployment, StartWorker, Worker, free_port, get, must_run, until


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[str]:
    """local_aws, in the controller's environment: the worker's has no moto."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    folder = tmp_path_factory.mktemp("local_aws")
    command = [
        str(ROOT / ".venv/controller/bin/python"),
        "-m",
        "local_aws",
        "serve",
        "--port",
        str(port),
        "--state-dir",
        str(folder),
        "--worker-python",
        sys.executable,
    ]
    with (folder / "output").open("wb") as output:
        server = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    try:
        until(lambda: get(f"{url}/_local/health")[0] == 200 or must_run(server, folder / "output"))
        yield url
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def deployment(endpoint: str) -> Deployment:
    """A fresh deployment."""
    return Deployment(endpoint, "t" + uuid.uuid4().hex[:10])


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
