# SPDX-License-Identifier: Apache-2.0
"""Instances without processes: on the world's clock, for harnesses and tests."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from local_aws.autoscaling import lifecycle
from local_aws.runner.base import HostEvent, Instance, RunnerError

if t.TYPE_CHECKING:
    from local_aws.autoscaling.model import Member, Wait
    from local_aws.world import World


@dataclasses.dataclass
class _Host:
    """A simulated host."""

    instance: Instance
    booted_at: dt.datetime
    drains_from: dt.datetime | None = None
    failed: bool = False


class SimulatedRunner:
    """Simulated workers that complete both hooks after a boot and a drain time."""

    def __init__(self, boot_seconds: float = 30.0, drain_seconds: float = 5.0) -> None:
        self.boot_seconds = boot_seconds
        self.drain_seconds = drain_seconds
        self.failing: set[str] = set()
        """A host whose user data contains one of these texts, or whose ReleaseId is one, fails to boot."""
        self.world: World | None = None
        self.hosts: dict[str, _Host] = {}
        self._events: list[HostEvent] = []

    def bind(self, world: World) -> None:
        """The world whose clock and groups count."""
        self.world = world

    def _bound(self) -> World:
        if self.world is None:
            raise RunnerError("the simulated runner has no world: call bind(world)")
        return self.world

    def pull(self, ref: str, instance: Instance) -> str:
        """Nothing is pulled."""
        raise RunnerError(f"the simulated runner pulls no image ({ref} for {instance.instance_id})")

    def start(self, image: str, env: t.Mapping[str, str], instance: Instance) -> None:
        """Nothing is started from an image."""
        raise RunnerError(f"the simulated runner starts nothing from {image} for {instance.instance_id}")

    def boot(self, instance: Instance) -> None:
        """Power on."""
        self.hosts[instance.instance_id] = _Host(instance, self._bound().now())

    def stop(self, instance_id: str) -> None:
        """Power off."""
        self.hosts.pop(instance_id, None)

    def kill(self, instance_id: str) -> None:
        """The worker starts again: it boots once more."""
        if instance_id in self.hosts:
            self.hosts[instance_id].booted_at = self._bound().now()

    def restart(self, instance_id: str) -> None:
        """It drains at once, and boots once more."""
        self.kill(instance_id)

    def report(self, instance_id: str, reason: str) -> None:
        """Let a host report itself unhealthy at the next tick."""
        self._events.append(HostEvent(instance_id, "unhealthy", reason))

    def poll(self) -> list[HostEvent]:
        """Let every worker do what it is time for."""
        for host in list(self.hosts.values()):
            self._advance(host)
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """Forget all hosts."""
        self.hosts.clear()

    def ready(self, instance_id: str) -> bool:
        """True once a worker has booted and until it drains."""
        host = self.hosts.get(instance_id)
        return host is not None and not host.failed and host.drains_from is None and self._booted(host)

    def _booted(self, host: _Host) -> bool:
        return self._bound().now() >= host.booted_at + dt.timedelta(seconds=self.boot_seconds)

    def _advance(self, host: _Host) -> None:
        found = self._bound().member(host.instance.instance_id)
        if found is None or host.failed:
            return
        member = found[1]
        if self._fails(host):
            host.failed = True
            self._events.append(HostEvent(member.instance_id, "launch_failed", "the worker did not start"))
        elif self._told_to_go(member):
            self._drain(host, member)
        elif self._booted(host):
            self._complete(member, lifecycle.LAUNCHING)

    def _told_to_go(self, member: Member) -> bool:
        """What the worker reads in its metadata."""
        return self._bound().target_lifecycle_state(member.instance_id) == "Terminated"

    def _fails(self, host: _Host) -> bool:
        texts = (host.instance.tags.get("ReleaseId", ""), host.instance.user_data)
        return self._booted(host) and any(bad == texts[0] or bad in texts[1] for bad in self.failing)

    def _drain(self, host: _Host, member: Member) -> None:
        now = self._bound().now()
        host.drains_from = host.drains_from or now
        if now >= host.drains_from + dt.timedelta(seconds=self.drain_seconds):
            self._complete(member, lifecycle.TERMINATING)

    def _complete(self, member: Member, transition: str) -> None:
        """Complete the hooks that this worker's instance waits for."""
        waits: list[Wait] = [w for w in member.waits if w.hook.transition == transition and w.result is None]
        for wait in waits:
            wait.result = "CONTINUE"
