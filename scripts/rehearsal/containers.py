# SPDX-License-Identifier: GPL-3.0-or-later
"""A container engine for a rehearsal: brought up when it is not, and taken down again by whoever brought it up."""

from __future__ import annotations

import os
import subprocess
import sys
import types
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "engine" / "engine.sh"
BASE_IMAGE = "local/python:3.11-slim-bookworm"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


class EngineFailed(Exception):
    """There is no engine, or it does not do what it is told; the message is its own."""


class Engine:
    """The engine of that name, from ``with`` to its end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.was_up = False

    def __enter__(self) -> Engine:
        self.was_up = self.call("status", check=False) == 0
        if not self.was_up:
            self.call("up")
        try:
            os.environ.update(environment(self.name))  # what is started from here finds it too
            self.call("base")
        except BaseException:
            self._down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._down()

    def _down(self) -> None:
        if not self.was_up and self.call("down", check=False):
            print(f"the engine was not taken down: {SCRIPT} down {self.name}", file=sys.stderr)

    def trust(self, host: str, port: int, ca_file: str) -> None:
        """That host is this machine's port, and its certificates are good."""
        self.call("trust", host, str(port), ca_file)

    def containers(self, label: str) -> list[str]:
        """The images of the containers with that label, one for each container."""
        listed = ["docker", "ps", "--all", "--no-trunc", "--filter", f"label={label}", "--format", "{{.Image}}"]
        return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()

    def call(self, verb: str, *arguments: str, check: bool = True) -> int:
        """A command of engine.sh for this engine; its exit status. Raises EngineFailed."""
        done = subprocess.run(
            [str(SCRIPT), verb, self.name, *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False
        )
        if verb != "status":
            print(done.stderr, end="", flush=True)
        if check and done.returncode:
            raise EngineFailed(f"engine.sh {verb} {self.name}: {done.stderr.strip() or done.returncode}")
        return done.returncode


def environment(name: str) -> dict[str, str]:
    """What ``engine.sh env`` exports. Raises EngineFailed."""
    said = subprocess.run([str(SCRIPT), "env", name], cwd=ROOT, capture_output=True, text=True, check=False)
    if said.returncode:
        raise EngineFailed(said.stderr.strip())
    shell = ["bash", "-c", f"{said.stdout}\nenv -0"]
    made = subprocess.run(shell, capture_output=True, text=True, check=True).stdout.split("\0")
    pairs = (entry.partition("=")[::2] for entry in made if "=" in entry)
    names = {line.removeprefix("export ").partition("=")[0] for line in said.stdout.splitlines()}
    return {name: value for name, value in pairs if name in names}


def ca_file() -> str:
    """The certificates that downloads need on this machine; empty: those of the base image will do."""
    found = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE") or CERTIFICATES
    return found if Path(found).is_file() else ""


def build_variables() -> dict[str, t.Any]:
    """How build.yml builds here: the machine's own pip settings and certificates, which stay in no layer."""
    pip = Path("/etc/pip.conf")
    return {
        "fleet_image_engine": "docker",
        "fleet_image_base": BASE_IMAGE,
        "fleet_image_pip_conf": str(pip) if pip.is_file() else "",
        "fleet_image_ca_file": ca_file(),
    }
