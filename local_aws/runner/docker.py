# SPDX-License-Identifier: Apache-2.0
"""Runs each instance's worker as a container of its image, pulled by digest from the registry under ECR's name."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

from local_aws.registry.context import HOST
from local_aws.runner import guardian, health
from local_aws.runner.base import Instance, RunnerError
from local_aws.runner.engine import LABEL, PULL_SECONDS, Engine, remove_all
from local_aws.runner.hosts import Hosts
from local_aws.runner.process import free_port
from local_aws.runner.role import registry_password
from local_aws.runner.unit import GRACE_SECONDS, Unit

LOG = logging.getLogger(__name__)
GATEWAY = "FLEET_ENGINE_GATEWAY"
"""The variable with the address that is this machine's 127.0.0.1 to containers; empty: they share its network."""
MODELS = "/models"
_MODEL_VARIABLES = ("SD_MODEL", "SD_MODELS", "SD_LORAS")
CACHE = "/var/cache/sd-inference"
PORT = "8080"
WATCH_SECONDS = 1.0
_RETRY_SECONDS = 0.3
BOOT_SECONDS = 5.0
CLOSE_ROUNDS = 20


class Container:
    """A worker's container, and the ``docker run`` in the foreground that stands for it, as in a unit of systemd."""

    def __init__(
        self, engine: Engine, name: str, process: subprocess.Popen[bytes], states: t.Mapping[str, str]
    ) -> None:
        self.name = name
        self._engine = engine
        self._process = process
        self._states = states
        self._sending: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The process of ``docker run``."""
        return self._process.pid

    def ended(self) -> str | None:
        """The container's exit status; 125 is the engine's own."""
        status = self._process.poll()
        return None if status is None else f"exit status {status}"

    def send(self, number: signal.Signals) -> None:
        """Have the engine send a signal, in the background; one at a time."""
        if self._sending is None or not self._sending.is_alive():
            self._sending = threading.Thread(target=self._send, args=(number,), name=f"kill-{self.name}", daemon=True)
            self._sending.start()

    def _send(self, number: signal.Signals) -> None:
        """Until it has arrived: a container that is still being made takes no signals."""
        left = int(GRACE_SECONDS / _RETRY_SECONDS)
        while self._process.poll() is None and left:
            try:
                self._engine.run("kill", "--signal", str(int(number)), self.name)
                return
            except RunnerError as problem:
                LOG.info("%s: %s", self.name, problem)
            left -= 1
            threading.Event().wait(_RETRY_SECONDS)

    def answers(self, timeout: float) -> bool:
        """What the image's own health check said last; an image without one is taken at its word."""
        state = self._states.get(self.name, "")
        return "(healthy)" in state or (state.startswith("Up") and "(" not in state)


class DockerRunner(Hosts):
    """The runner of container rehearsals: needs an engine and the registry."""

    def __init__(self, state_dir: Path, port: int, health_seconds: float = health.EVERY_SECONDS) -> None:
        super().__init__(state_dir, health_seconds)
        self.owner = str(state_dir.absolute())
        self.gateway = os.environ.get(GATEWAY, "")
        self.endpoint = f"http://127.0.0.1:{port}"
        self.inside = f"http://{self.gateway or '127.0.0.1'}:{port}"
        self._folder = state_dir / "docker"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._engine = Engine(self._folder)
        self._numbers = itertools.count(1)
        self._states: dict[str, str] = {}
        self._checked: dict[str, bool] = {}
        left = remove_all(self._engine, self.owner)
        if left:
            LOG.warning("%s containers of an earlier server were removed", left)
        self._guardian = self._guard()
        threading.Thread(target=self._look, name="containers", daemon=True).start()
        self.watch()

    def _guard(self) -> subprocess.Popen[bytes]:
        """The process that removes what is left when this one is gone."""
        with (self.state_dir / "log" / "guardian.log").open("ab") as log:
            made = subprocess.Popen(
                [sys.executable, "-m", "local_aws.runner.guardian", str(self._folder), self.owner],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert made.stdout is not None
        made.stdout.readline()
        return made

    def pull(self, ref: str, instance: Instance) -> str:
        """Log in with the instance's role and pull by digest. Raises RunnerError with what the engine said."""
        name, _at, digest = ref.partition("@")
        if not digest.startswith("sha256:"):
            raise RunnerError(f"{ref} names no digest: use repository@sha256:…")
        if name.partition("/")[0] != HOST:
            raise RunnerError(f"{ref} is not in the registry {HOST}")
        engine = Engine(self._own(instance.instance_id))
        engine.run("login", "--username", "AWS", "--password-stdin", HOST, stdin=self._password(instance))
        engine.run("pull", "--quiet", ref, seconds=PULL_SECONDS)
        return ref

    def _own(self, instance_id: str) -> Path:
        """That host's own folder, with its log-in and its worker.env."""
        folder = self._folder / instance_id
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def _password(self, instance: Instance) -> str:
        return registry_password(self.endpoint, instance.instance_id)

    def environment(self, env: t.Mapping[str, str], instance: Instance) -> dict[str, str]:
        """The worker's; without a gateway all share this machine's network, so each has a port of its own."""
        network = (
            {"SD_HTTP_HOST": "0.0.0.0", "SD_HTTP_PORT": PORT}
            if self.gateway
            else {"SD_HTTP_HOST": "127.0.0.1", "SD_HTTP_PORT": str(free_port())}
        )
        return {
            **env,
            **network,
            "AWS_ENDPOINT_URL": self.inside,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{self.inside}/imds/{instance.instance_id}/",
        }

    def run(self, unit: Unit) -> Container:
        """``docker run`` in the foreground, its output in the unit's log."""
        name = f"sd-{unit.instance_id}-{next(self._numbers)}"
        env, mounts = _mounted(unit.env)
        file = self._own(unit.instance_id) / "worker.env"
        file.write_text("".join(f"{key}={value}\n" for key, value in env.items()), encoding="utf-8")
        with unit.log.open("ab") as log:
            process = self._engine.start(
                "run", *self._options(name, unit), *mounts, "--env-file", str(file), unit.image, output=log
            )
        return Container(self._engine, name, process, self._states)

    def _options(self, name: str, unit: Unit) -> list[str]:
        options = ["--rm", "--name", name, "--hostname", unit.instance_id, "--label", f"{LABEL}={self.owner}"]
        options += ["--pull", "never", "--log-driver", "none", "--stop-timeout", str(int(GRACE_SECONDS))]
        options += ["--read-only", "--tmpfs", "/tmp", "--tmpfs", f"{CACHE}:mode=1777"]
        options += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        options += [] if self.gateway else ["--network", "host"]
        return options + (
            ["--health-interval", f"{self.health_seconds}s", "--health-retries", "1"]
            if self._has_check(unit.image)
            else []
        )

    def _has_check(self, image: str) -> bool:
        """Whether the image brings a health check; the host's timer only says how often."""
        if image not in self._checked:
            said = self._engine.run("image", "inspect", "--format", "{{if .Config.Healthcheck}}yes{{end}}", image)
            self._checked[image] = "yes" in said
        return self._checked[image]

    def _look(self) -> None:
        """What the engine says of all containers, asked once for all."""
        listed = ("ps", "--filter", f"label={LABEL}={self.owner}", "--format", "{{.Names}}\t{{.Status}}")
        while not self._closing.wait(min(WATCH_SECONDS, self.health_seconds / 5)):
            try:
                lines = self._engine.run(*listed).splitlines() if self._units else []
            except RunnerError as problem:
                LOG.warning("%s", problem)
                continue
            found = dict(line.partition("\t")[::2] for line in lines)
            self._states.update(found)
            for gone in self._states.keys() - found.keys():
                del self._states[gone]

    def close(self) -> None:
        """Remove every container; the guardian looks once more, and longer where something was being made."""
        running = [unit.running for unit in self.take_all() if unit.running]
        for boot in self._boots:
            boot.join(BOOT_SECONDS)
        over = False
        for _unused in range(CLOSE_ROUNDS):
            self._remove()
            over = all(one.ended() is not None for one in running)
            if over:
                break
            threading.Event().wait(_RETRY_SECONDS)
        quiet = over and not any(boot.is_alive() for boot in self._boots)
        self._guardian.communicate(guardian.DONE if quiet else b"")

    def _remove(self) -> None:
        try:
            remove_all(self._engine, self.owner)
        except RunnerError as problem:
            LOG.error("%s", problem)


def _mounted(env: t.Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The environment with the folders of models as the container sees them, and the options that mount them."""
    targets: dict[str, str] = {}
    changed = {name: _inside(env[name], targets) for name in _MODEL_VARIABLES if name in env}
    mounts = [f"type=bind,source={source},target={target},readonly" for source, target in targets.items()]
    return {**env, **changed}, [part for mount in mounts for part in ("--mount", mount)]


def _inside(value: str, targets: dict[str, str]) -> str:
    """``location`` or ``name=location, …`` with every path of this machine replaced by one below /models."""
    return ",".join(_moved(entry.strip(), targets) for entry in value.split(","))


def _moved(entry: str, targets: dict[str, str]) -> str:
    name, equals, location = entry.rpartition("=")
    path = Path(location)
    if not path.is_absolute() or not path.exists():
        return entry
    if str(path) not in targets:
        same = [target for target in targets.values() if target.endswith(f"/{path.name}")]
        targets[str(path)] = f"{MODELS}/{len(same)}/{path.name}" if same else f"{MODELS}/{path.name}"
    return f"{name}{equals}{targets[str(path)]}"
