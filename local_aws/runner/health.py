# SPDX-License-Identifier: Apache-2.0
"""The health timer of the hosts: asks each worker whether it is alive, and counts the failures in a row."""

from __future__ import annotations

import dataclasses
import http.client

EVERY_SECONDS = 10.0
TIMEOUT_SECONDS = 5.0
FAILURES = 3
STARTING_SECONDS = 60.0
"""A worker answers before it has loaded anything: one that has not by then never will, or froze in its first job."""


def alive(port: int, timeout: float) -> bool:
    """Whether the worker on this port answers ``/health`` with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@dataclasses.dataclass
class Health:
    """What the timer knows of one process. It has time to start, until its first good answer at the latest."""

    pid: int
    since: float
    probed_at: float = 0.0
    seen_alive: bool = False
    failures: int = 0

    def starting(self, now: float) -> bool:
        """Whether silence means nothing yet."""
        return not self.seen_alive and now - self.since < STARTING_SECONDS

    def due(self, every: float, now: float) -> bool:
        """Whether to ask now; more often while it starts."""
        return now - self.probed_at >= (every / 10 if self.starting(now) else every)

    def note(self, answered: bool, now: float) -> bool:
        """Note a probe; whether the worker is to be given up now. One failure is never enough."""
        self.probed_at = now
        self.seen_alive = self.seen_alive or answered
        self.failures = 0 if answered or self.starting(now) else self.failures + 1
        return self.failures >= FAILURES
