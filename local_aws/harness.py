# SPDX-License-Identifier: Apache-2.0
"""A whole local AWS in one process on virtual time, reached by boto3 over HTTP or directly."""

from __future__ import annotations

import typing as t

from local_aws.clients import make_client
from local_aws.clock import VirtualClock
from local_aws.direct import Direct, direct_client
from local_aws.runner.simulated import SimulatedRunner
from local_aws.server import Server
from local_aws.settings import Settings
from local_aws.timeline import Timeline
from local_aws.world import World


class Harness:
    """A world, its server and its clients; a context manager."""

    def __init__(
        self,
        runner: SimulatedRunner | None = None,
        settings: Settings | None = None,
        timeline: Timeline | None = None,
        direct: bool = False,
    ) -> None:
        """With ``direct`` its clients do without HTTP and threads, and nothing is sent again, in real time."""
        self.clock = VirtualClock()
        self.runner = runner or SimulatedRunner()
        self.world = World(self.clock, self.runner, settings, timeline)
        self.runner.bind(self.world)
        self.server = Server(self.world)
        self.direct = Direct(self.server.app, self.endpoint) if direct else None
        self._clients: dict[str, t.Any] = {}

    def __enter__(self) -> Harness:
        if self.direct is None:
            self.server.start(ticking=False)
        return self

    def __exit__(self, *_unused: object) -> None:
        self.server.stop()

    @property
    def endpoint(self) -> str:
        """Where AWS answers."""
        return self.server.endpoint

    def client(self, service: str) -> t.Any:
        """A boto3 client of that service; one a service, and with ``direct`` that of the whole process."""
        if self.direct is not None:
            return direct_client(service)
        if service not in self._clients:
            self._clients[service] = make_client(service, self.endpoint, attempts=2)
        return self._clients[service]

    def advance(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass, with a tick each ``step`` seconds."""
        left = seconds
        while left > 0:
            self.clock.advance(min(step, left))
            self.world.tick()
            left -= step

    def advance_until(self, condition: t.Callable[[], bool], limit: float = 7200, step: float = 1.0) -> float:
        """Let time pass until a condition holds; how long it took. Raises TimeoutError after the limit."""
        passed = 0.0
        while not condition():
            if passed >= limit:
                raise TimeoutError(f"not reached within {limit} virtual seconds")
            self.advance(step, step)
            passed += step
        return passed
