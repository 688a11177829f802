# SPDX-License-Identifier: Apache-2.0
"""The health timer of the hosts: asks each worker whether it is alive, and counts the failures in a row."""

from __future__ import annotations

import dataclasses
import http.client

EVERY_SECONDS = 10.0
TIMEOUT_SECONDS = 5.0
FAILURES = 3


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
    """What the timer knows of one process. Until its first good answer it is starting, however long that takes."""

    pid: int
    probed_at: float
    seen_alive: bool = False
    failures: int = 0

    def due(self, every: float, now: float) -> bool:
        """Whether to ask now; more often while it starts, so that it is known as alive before its first job."""
        return now - self.probed_at >= (every if self.seen_alive else every / 10)

    def note(self, answered: bool, now: float) -> bool:
        """Note a probe; whether the worker is to be given up now. One failure is never enough."""
        self.probed_at = now
        self.seen_alive = self.seen_alive or answered
        self.failures = 0 if answered or not self.seen_alive else self.failures + 1
        return self.failures >= FAILURES
