# SPDX-License-Identifier: Apache-2.0
"""Fixtures: an AWS endpoint on this machine, a fresh deployment, worker processes."""
from __future__ import annotations

import subprocess
import typing as t
import uuid
from pathlib import Path

import pytest

from tests.worker.harness import ROOT, SOURCE, Deployment, StartWorker, Worker, free_port, get, until


@pytest.fixture(scope="session")
def endpoint() -> t.Iterator[str]:
    """An AWS endpoint on this machine: the moto server that local_aws builds on."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [str(ROOT / ".venv/controller/bin/python"), "-m", "moto.server", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: get(f"{url}/moto-api/")[0] == 200)
        yield url
    finally:
        server.kill()
        server.wait()


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
