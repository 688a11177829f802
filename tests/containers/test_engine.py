# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/engine: what an engine leaves on the machine while it stands, and once it is gone. It is one of its own."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest

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


def rules() -> list[str]:
    """The machine's own firewall."""
    return [line for table in ("filter", "nat", "mangle") for line in said("iptables", "-t", table, "-S")]


def processes() -> list[int]:
    """Whatever was started for the engine: it names the engine's folder or namespace."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"build/engine/{NAME}/" in words or f"netns/fleet-{NAME}" in words:
            found.append(int(path.parent.name))
    return found


def traces() -> dict[str, t.Any]:
    """Everything of the engine that the machine can see."""
    groups = [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/fleet-{NAME}")]
    return {
        "namespaces": [line for line in said("ip", "netns", "list") if line.startswith(f"fleet-{NAME}")],
        "processes": processes(),
        "mounts": [line for line in Path("/proc/mounts").read_text().splitlines() if NAME in line],
        "cgroups": groups,
    }


@pytest.fixture
def standing() -> t.Iterator[dict[str, str]]:
    """An engine; the variables of its environment."""
    engine("up", NAME)
    lines = [line.removeprefix("export ").partition("=") for line in engine("env", NAME).splitlines()]
    yield {name: value for name, _equals, value in lines}
    engine("remove", NAME)


def test_the_machine_is_as_it_was(standing: dict[str, str]) -> None:
    before, hosts = rules(), Path("/etc/hosts").read_bytes()
    docker = ["docker", "--host", standing["DOCKER_HOST"]]
    subprocess.run([*docker, "network", "create", "some"], check=True, capture_output=True)
    assert rules() == before and Path("/etc/hosts").read_bytes() == hosts
    assert len(traces()["processes"]) >= 3  # the way out, the daemon and containerd
    engine("up", NAME)  # a second time is fine
    engine("down", NAME)
    assert not any(traces().values()), traces()
    assert rules() == before
    engine("down", NAME)


def test_what_a_killed_engine_left_is_cleared(standing: dict[str, str]) -> None:
    (daemon,) = said("cat", str(ROOT / "build" / "engine" / NAME / "dockerd.pid"))
    subprocess.run(["kill", "-KILL", daemon], check=True)
    engine("up", NAME)
    assert said("docker", "--host", standing["DOCKER_HOST"], "version", "--format", "{{.Server.Os}}") == ["linux"]
    engine("down", NAME)
    assert not any(traces().values()), traces()


def test_names_that_could_not_be_a_namespace_are_refused() -> None:
    done = subprocess.run([str(SCRIPT), "up", "../x"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "use 1 to 20 lower-case letters" in done.stderr


def test_without_an_engine_it_says_how_to_start_one() -> None:
    done = subprocess.run([str(SCRIPT), "env", "nobody"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "engine.sh up nobody" in done.stderr
