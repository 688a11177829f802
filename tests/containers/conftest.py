# SPDX-License-Identifier: GPL-3.0-or-later
"""The container engine that these tests need; without one they fail, and say how to start one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from scripts.rehearsal.containers import BASE_IMAGE, environment
from tests.support.docker import Docker

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "scripts" / "engine" / "engine.sh"
NAME = os.environ.get("FLEET_ENGINE_NAME", "containers")


def engine_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """One command of engine.sh."""
    return subprocess.run([str(ENGINE), *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def docker() -> Docker:
    """The engine, with its environment in this process: what local_aws starts finds it too."""
    said = engine_command("env", NAME)
    if said.returncode:
        pytest.fail(
            f"these tests need a container engine: {said.stderr.strip()}\n"
            f"Start one: scripts/engine/engine.sh up {NAME} (and 'down {NAME}' afterwards), or run 'make containers'",
            pytrace=False,
        )
    os.environ.update(environment(NAME))
    return Docker(lambda *arguments: engine_command(arguments[0], NAME, *arguments[1:]))


@pytest.fixture(scope="session")
def base(docker: Docker) -> str:
    """A Python to build on."""
    docker.tell("base")
    return BASE_IMAGE
