# SPDX-License-Identifier: Apache-2.0
"""What makes an instance run something: the interface of the runners."""

from __future__ import annotations

import dataclasses
import signal
import typing as t


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
    """Runs the worker of each instance. None of these calls may block for longer than a moment, but ``pull``."""

    def pull(self, ref: str, instance: Instance) -> str:
        """Fetch ``repository@sha256:…``, every digest checked; what ``start`` takes. Raises RunnerError."""

    def start(self, image: str, env: t.Mapping[str, str], instance: Instance) -> None:
        """Start the instance's worker from what was pulled, with ``env``. Raises RunnerError."""

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


class Running(t.Protocol):
    """A worker that was started: a process, or a container."""

    @property
    def pid(self) -> int:
        """The process on this machine that stands for it; another one after a restart."""

    def ended(self) -> str | None:
        """How it ended, in words; None while it runs."""

    def send(self, number: signal.Signals) -> None:
        """Send it a signal. No error when it has gone."""

    def answers(self, timeout: float) -> bool:
        """Whether it says that it is alive."""


class RunnerError(Exception):
    """The image cannot be pulled or started; the message says why."""
