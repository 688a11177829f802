# SPDX-License-Identifier: Apache-2.0
"""A container engine, by its command line: DOCKER_HOST says where it is."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

from local_aws.runner.base import RunnerError

SECONDS = 60.0
PULL_SECONDS = 600.0
LABEL = "org.diffusion.fleet.local-aws"
"""On every container of a runner: its state folder, by which they are found again whoever started them."""
_KEPT = ("PATH", "HOME", "LANG", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")


class Engine:
    """Runs commands of ``docker``, each with a configuration of its own: nobody's saved log-ins are used."""

    def __init__(self, config: Path, program: str = "docker") -> None:
        self.config = config
        self.program = program

    def command(self, *arguments: str) -> list[str]:
        """The command line."""
        return [self.program, "--config", str(self.config), *arguments]

    def environment(self) -> dict[str, str]:
        """What the command may know: where the engine is, no keys."""
        return {name: os.environ[name] for name in _KEPT if name in os.environ}

    def run(self, *arguments: str, stdin: str = "", seconds: float = SECONDS) -> str:
        """Its output. Raises RunnerError with what it said."""
        try:
            done = subprocess.run(
                self.command(*arguments),
                input=stdin,
                env=self.environment(),
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except FileNotFoundError:
            raise RunnerError(f"there is no {self.program} on this machine's PATH") from None
        except subprocess.TimeoutExpired:
            raise RunnerError(f"docker {arguments[0]} did not end within {seconds:.0f} s") from None
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())
            raise RunnerError(f"docker {arguments[0]} failed: {said[-800:] or f'exit status {done.returncode}'}")
        return done.stdout

    def start(self, *arguments: str, output: t.BinaryIO) -> subprocess.Popen[bytes]:
        """A command that goes on by itself."""
        return subprocess.Popen(
            self.command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=self.environment(),
            start_new_session=True,
        )


def remove_all(engine: Engine, owner: str) -> int:
    """Remove every container of that owner; how many there were. Raises RunnerError."""
    found = engine.run("ps", "--all", "--quiet", "--filter", f"label={LABEL}={owner}").split()
    if found:
        engine.run("rm", "--force", "--volumes", *found)
    return len(found)
