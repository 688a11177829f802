# SPDX-License-Identifier: Apache-2.0
"""Runs each instance's worker as a process of this machine, supervised as systemd would."""

from __future__ import annotations

import os
import signal
import socket
import typing as t
from pathlib import Path

from local_aws.runner import health, images
from local_aws.runner.base import Instance, RunnerError
from local_aws.runner.hosts import Hosts
from local_aws.runner.unit import Unit
from local_aws.runner.zygotes import PRELOAD, Zygote

MODULE = "api_scheduler"


class Worker:
    """A process that a zygote has forked."""

    def __init__(self, zygote: Zygote, pid: int, port: int) -> None:
        self._zygote = zygote
        self._pid = pid
        self._port = port

    @property
    def pid(self) -> int:
        """The process."""
        return self._pid

    def ended(self) -> str | None:
        """Its exit status, which its zygote tells."""
        status = self._zygote.exits.pop(self._pid, None)
        if status is not None:
            return f"exit status {status}"
        return None if self._zygote.alive else "its zygote died"

    def send(self, number: signal.Signals) -> None:
        """Send a signal to its whole process group."""
        for send in (os.killpg, os.kill):
            try:
                send(self._pid, number)
                return
            except ProcessLookupError:
                continue  # not a group leader yet, or gone

    def answers(self, timeout: float) -> bool:
        """Ask it."""
        return health.alive(self._port, timeout)


class ProcessRunner(Hosts):
    """The runner of rehearsals and of the demo: real workers, nothing to install."""

    def __init__(
        self,
        state_dir: Path,
        worker_python: Path,
        endpoint: str,
        preload: t.Mapping[str, t.Sequence[str]] | None = None,
        lock_file: Path | None = None,
        health_seconds: float = health.EVERY_SECONDS,
    ) -> None:
        super().__init__(state_dir, health_seconds)
        self.endpoint = endpoint
        self.worker_python = worker_python.absolute()
        # Not resolve(): a virtual environment's python is a link out of it.
        self.lock_file = lock_file or self.worker_python.parent.parent / "lock.sha256"
        self._modules = preload or PRELOAD
        self._zygotes: dict[str, Zygote] = {}
        self.watch()

    def preload(self, kind: str) -> None:
        """Start that engine's zygote now, so that the first instance need not wait for its imports."""
        self._zygote(kind)

    def _zygote(self, kind: str) -> Zygote:
        with self._lock:
            found = self._zygotes.get(kind)
            if found is None or not found.alive:
                if kind not in self._modules:
                    raise RunnerError(f"SD_ENGINE={kind} is unknown: use one of {', '.join(self._modules)}")
                log = self.state_dir / "log" / f"zygote-{kind}.log"
                found = self._zygotes[kind] = Zygote(kind, self.worker_python, log, self._modules[kind])
            return found

    def pull(self, ref: str, instance: Instance) -> str:
        """Fetch and unpack an image, every digest checked, its libraries compared with those that are here."""
        root = images.pull(ref, self.state_dir / "images")
        images.check_lock(root, self.lock_file)
        return str(root)

    def environment(self, env: t.Mapping[str, str], instance: Instance) -> dict[str, str]:
        """The worker's, on a port of its own."""
        base = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR") if key in os.environ}
        return (
            base
            | {"OMP_NUM_THREADS": env.get("SD_TORCH_THREADS", "1"), "PYTHONUNBUFFERED": "1"}
            | dict(env)
            | {
                "AWS_ENDPOINT_URL": self.endpoint,
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{self.endpoint}/imds/{instance.instance_id}/",
                # A host has no such files; this machine's user may have them, with keys for a real account.
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "AWS_CONFIG_FILE": os.devnull,
                "SD_HTTP_HOST": "127.0.0.1",
                "SD_HTTP_PORT": str(free_port()),
            }
        )

    def run(self, unit: Unit) -> Worker:
        """Fork it."""
        zygote = self._zygote(unit.env.get("SD_ENGINE", "diffusers"))
        pid = zygote.fork(
            {
                "instance": unit.instance_id,
                "root": unit.image,
                "env": unit.env,
                "stdout": str(unit.log),
                "path": str(Path(unit.image) / "app" / "src"),
                "module": MODULE,
            }
        )
        return Worker(zygote, pid, int(unit.env["SD_HTTP_PORT"]))

    def close(self) -> None:
        """Stop every worker and zygote."""
        units = self.take_all()
        with self._lock:
            zygotes = list(self._zygotes.values())
            self._zygotes.clear()
        for unit in units:
            unit.kill(signal.SIGKILL)
        for zygote in zygotes:
            zygote.close()


def free_port() -> int:
    """A port for one worker: all hosts of this runner share one address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
