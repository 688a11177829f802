# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/engine: what an engine leaves on the machine while it stands, and once it is gone. It is one of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

from scripts.engine import traces

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "engine" / "engine.sh"
NAME = "left-nothing"


def engine(*arguments: str, check: bool = True) -> str:
    """A command of engine.sh; what it said on standard output."""
    done = subprocess.run([str(SCRIPT), *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


def said(*command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def mine() -> list[str]:
    """Everything of the engine that the machine can see."""
    return sorted(line for line in traces.look() if NAME in line)


@pytest.fixture
def standing() -> t.Iterator[dict[str, str]]:
    """An engine; the variables of its environment."""
    engine("up", NAME)
    lines = [line.removeprefix("export ").partition("=") for line in engine("env", NAME).splitlines()]
    yield {name: value for name, _equals, value in lines}
    engine("remove", NAME)


def test_the_machine_is_as_it_was(standing: dict[str, str]) -> None:
    rules, hosts = set(traces.rules()), Path("/etc/hosts").read_bytes()
    docker = ["docker", "--host", standing["DOCKER_HOST"]]
    subprocess.run([*docker, "network", "create", "some"], check=True, capture_output=True)
    assert set(traces.rules()) == rules and Path("/etc/hosts").read_bytes() == hosts
    shown = mine()
    for kind, least in (("network namespace", 1), ("mount", 1), ("process", 3)):
        assert len([line for line in shown if line.startswith(kind)]) >= least, shown
    engine("up", NAME)  # a second time is fine
    engine("down", NAME)
    assert not mine() and set(traces.rules()) == rules
    engine("down", NAME)


def test_what_a_killed_engine_left_is_cleared(standing: dict[str, str]) -> None:
    (daemon,) = said("cat", str(ROOT / "build" / "engine" / NAME / "dockerd.pid"))
    subprocess.run(["kill", "-KILL", daemon], check=True)
    engine("up", NAME)
    assert said("docker", "--host", standing["DOCKER_HOST"], "version", "--format", "{{.Server.Os}}") == ["linux"]
    engine("down", NAME)
    assert not mine()


def test_a_checkout_may_lie_deep(tmp_path: Path) -> None:
    checkout = tmp_path / ("deep" * 20)
    shutil.copytree(ROOT / "scripts" / "engine", checkout / "scripts" / "engine")
    shutil.copytree(ROOT / "build" / "engine" / ".tools", checkout / "build" / "engine" / ".tools")
    command = [str(checkout / "scripts" / "engine" / "engine.sh")]
    before = traces.look()
    subprocess.run([*command, "up", NAME], check=True, env={**os.environ, "FLEET_ENGINE": "own"})
    try:
        said(*command, "status", NAME)
        host = said(*command, "env", NAME)[0].partition("=")[2]
        assert said("docker", "--host", host, "version", "--format", "{{.Server.Os}}") == ["linux"]
    finally:
        subprocess.run([*command, "remove", NAME], check=True)
    assert not [line for line in traces.left(before) if NAME in line or "/run/fleet-engine" in line]


def test_names_that_could_not_be_a_namespace_are_refused() -> None:
    done = subprocess.run([str(SCRIPT), "up", "../x"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "use 1 to 20 lower-case letters" in done.stderr


def test_without_an_engine_it_says_how_to_start_one() -> None:
    done = subprocess.run([str(SCRIPT), "env", "nobody"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "engine.sh up nobody" in done.stderr
