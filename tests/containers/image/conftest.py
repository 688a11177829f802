# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's image, and containers of it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import typing as t
import uuid
from pathlib import Path

import pytest

from scripts.rehearsal.containers import ca_file
from scripts.rehearsal.images import Build, DockerFailed
from tests.support.docker import Docker
from tests.worker.harness import Deployment, local_aws

HARDENED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
NAME = "fleet-test/worker"
StartContainer = t.Callable[..., str]


@dataclasses.dataclass(frozen=True)
class WorkerImage:
    """A built image, and the words that stood in the secrets of its build."""

    name: str
    canaries: tuple[bytes, ...]


@pytest.fixture(scope="session")
def image(docker: Docker, base: str, tmp_path_factory: pytest.TempPathFactory) -> WorkerImage:
    """The noop image, built from nothing, with a word in each secret that must not get into it."""
    folder = tmp_path_factory.mktemp("secrets")
    words = [secrets.token_hex(20) for _unused in range(2)]
    certificates = Path(ca_file()).read_text()
    pip_conf, ca = folder / "pip.conf", folder / "ca.pem"
    pip_conf.write_text(f"[canary]\npassword = {words[0]}\n")
    ca.write_text(f"# {words[1]}\n{certificates}")
    Build(f"{NAME}:1.0.0", "1.0.0", base=base, pip_conf=str(pip_conf), ca=str(ca), cached=False).run()
    return WorkerImage(f"{NAME}:1.0.0", tuple(word.encode() for word in words))


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[str]:
    """A local AWS on this machine's 127.0.0.1."""
    with local_aws(tmp_path_factory.mktemp("local_aws")) as url:
        yield url


@pytest.fixture
def deployment(endpoint: str) -> Deployment:
    """A deployment of its own for a test."""
    return Deployment(endpoint, f"c-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def gateway(docker: Docker) -> str:
    """Where containers find this machine's 127.0.0.1."""
    found = os.environ["FLEET_ENGINE_GATEWAY"]
    if not found:
        pytest.fail(
            "this test needs an engine of its own: FLEET_ENGINE=own scripts/engine/engine.sh up NAME", pytrace=False
        )
    return found


@pytest.fixture
def start(docker: Docker) -> t.Iterator[StartContainer]:
    """Start containers as a host does; they go with the test, and a failed test shows what they said."""
    names: list[str] = []

    def starter(image: str, environment: dict[str, str], *options: str) -> str:
        names.append(f"fleet-test-{uuid.uuid4().hex[:12]}")
        variables = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
        docker.run("run", "--detach", "--name", names[-1], *HARDENED, *options, *variables, image)
        return names[-1]

    yield starter
    for name in names:
        with contextlib.suppress(DockerFailed, AssertionError):
            print(docker.run("logs", name)[-4000:])
            docker.run("rm", "--force", name)
