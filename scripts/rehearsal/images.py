# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's image, built as by hand: for tests and benchmarks of the image itself. build.yml is what users run."""

from __future__ import annotations

import dataclasses
import subprocess
import time
import typing as t
from pathlib import Path

from .containers import BASE_IMAGE, ROOT, ca_file

WORKER = ROOT / "worker_app"


class DockerFailed(Exception):
    """A docker command failed; the message is what it said."""


def docker(*arguments: str, stdin: str = "", both: bool = False) -> str:
    """A docker command; its standard output, or ``both``. Raises DockerFailed."""
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DockerFailed(f"docker {' '.join(arguments)}: {done.stderr[-4000:]}")
    return done.stdout + (done.stderr if both else "")


@dataclasses.dataclass(frozen=True)
class Build:
    """One build of the worker."""

    tag: str
    version: str
    source: Path = WORKER
    base: str = BASE_IMAGE
    requirements: str = "noop"
    pip_conf: str = ""
    ca: str = dataclasses.field(default_factory=ca_file)
    cached: bool = True

    def run(self) -> float:
        """Build; the seconds it took."""
        started = time.monotonic()
        docker(*self.command())
        return time.monotonic() - started

    def command(self) -> list[str]:
        """The arguments of docker."""
        arguments = {"BASE_IMAGE": self.base, "REQUIREMENTS": self.requirements, "VERSION": self.version}
        secrets = {"pip_conf": self.pip_conf, "ca_bundle": self.ca}
        return [
            *("buildx", "build", "--quiet", "--tag", self.tag, *([] if self.cached else ["--no-cache"])),
            *_pairs("--build-arg", arguments, "{}={}"),
            *_pairs("--secret", secrets, "id={},src={}"),
            str(self.source),
        ]


def _pairs(option: str, values: t.Mapping[str, str], form: str) -> list[str]:
    return [word for name, value in values.items() if value for word in (option, form.format(name, value))]
