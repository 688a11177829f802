# SPDX-License-Identifier: Apache-2.0
"""What makes an instance run something: the interface of the runners."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Instance:
    """An EC2 instance as its host sees it."""

    instance_id: str
    account_id: str
    region: str
    group: str
    user_data: str
    """Decoded user data (cloud-config), empty when the template has none."""
    tags: t.Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class HostEvent:
    """Something a host reports to the platform: ``kind`` is launch_failed | unhealthy."""

    instance_id: str
    kind: t.Literal["launch_failed", "unhealthy"]
    reason: str


class Runner(t.Protocol):
    """Runs the worker of each instance. None of these calls may block for longer than a moment."""

    def pull(self, ref: str) -> Path:
        """Fetch ``repository@sha256:…``, check every digest, unpack; the root folder. Raises RunnerError."""

    def start(self, root: Path, env: t.Mapping[str, str], instance: Instance) -> None:
        """Start the instance's worker from ``root`` with ``env``. Raises RunnerError."""

    def boot(self, instance: Instance) -> None:
        """Power on: read the user data as cloud-init does, pull the image it names and start it, in the background."""

    def stop(self, instance_id: str) -> None:
        """Power off: SIGTERM, a short grace, SIGKILL. No error when it is not running."""

    def kill(self, instance_id: str) -> None:
        """kill -9 of the worker process: the host's service manager then starts it again."""

    def restart(self, instance_id: str) -> None:
        """SIGTERM to the worker process, as ``systemctl restart`` sends it: once it has gone it is started again."""

    def poll(self) -> list[HostEvent]:
        """Supervise the processes; what happened since the last call."""

    def close(self) -> None:
        """Stop everything."""


class RunnerError(Exception):
    """The image cannot be pulled or started; the message says why."""
