# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role has written for these scripts, and the worker's environment that the user data have written."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path

SETTINGS_FILE = "/etc/sd-inference/host.json"


class InvalidSettings(Exception):
    """A file of settings cannot be used; the message names it and says why."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Limits, paths and commands; every field is a variable of the role."""

    deployment_id: str
    worker_env: Path = Path("/etc/sd-inference/worker.env")
    state_dir: Path = Path("/run/sd-inference")
    log_dir: Path = Path("/var/log/sd-inference")
    health_url: str = "http://127.0.0.1:8080/health"
    timeout_seconds: float = 5
    failures: int = 3
    """Failed checks in a row after which the host acts."""
    starting_seconds: float = 180
    """A worker that has not answered yet may be silent for so long."""
    restarts: int = 1
    """Silent workers that are started again within ``restarts_seconds``; the next one is given up."""
    restarts_seconds: float = 3600
    starts: int = 3
    """Starts that end within ``steady_seconds``, in a row, after which the worker is given up."""
    steady_seconds: float = 60
    disk_paths: tuple[str, ...] = ("/",)
    disk_free_mib: int = 512
    gpu_command: tuple[str, ...] = ()
    """Exits with 0 while the card is there; empty on a host without one."""
    pull_seconds: float = 900

    @property
    def worker_log(self) -> Path:
        """Where the unit writes what the worker prints."""
        return self.log_dir / "worker.log"


def read(path: Path) -> Settings:
    """The settings of this host. Raises InvalidSettings."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidSettings(f"{path}: {error}: apply the role gpu_worker again") from error
    known = {field.name for field in dataclasses.fields(Settings)}
    if not isinstance(given, dict) or "deployment_id" not in given or not set(given) <= known:
        raise InvalidSettings(f"{path}: not the settings of this version: apply the role gpu_worker again")
    paths = {name: Path(given[name]) for name in ("worker_env", "state_dir", "log_dir") if name in given}
    lists = {name: tuple(given[name]) for name in ("disk_paths", "gpu_command") if name in given}
    return Settings(**{**given, **paths, **lists})


def worker_env(path: Path) -> dict[str, str]:
    """The worker's environment, read as systemd reads it. Raises InvalidSettings."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidSettings(f"{path}: {error}: the user data of the instance write it") from error
    found = {}
    for line in text.splitlines():
        name, separator, value = line.strip().partition("=")
        if separator and not name.startswith(("#", ";")):
            found[name] = "".join(shlex.split(value)) if value[:1] in ("'", '"') else value
    return found
