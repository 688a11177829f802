# SPDX-License-Identifier: Apache-2.0
"""One worker as its host's service manager sees it: started, restarted, given up, stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
from pathlib import Path

from local_aws.runner import health
from local_aws.runner.base import Running
from local_aws.runner.health import Health
from local_aws.runner.shipping import Shipper

RESTART_SECONDS = 1.0
GRACE_SECONDS = 10.0
FAILURES = 3
STEADY_SECONDS = 60.0
"""A worker that ran this long counts as one that works: its earlier failures are forgotten."""


@dataclasses.dataclass
class Unit:
    """The state of one service."""

    instance_id: str
    image: str
    """What the runner has pulled, in its own terms."""
    env: dict[str, str]
    log: Path
    shipper: Shipper
    running: Running | None = None
    stopping: bool = False
    failures: int = 0
    last_status: str = ""
    health: Health | None = None
    silent: bool = False
    """It runs and does not answer its health timer: it is killed and not started again."""
    _since: float = 0.0
    _restart_at: float | None = None
    _kill_at: float | None = None
    _killed_by_us: bool = False

    def started(self, running: Running, now: float) -> None:
        """It runs."""
        self.running, self._since, self._restart_at = running, now, None

    def failed_to_start(self, now: float, reason: str) -> None:
        """Not even a process came of it."""
        self.failures, self.last_status, self._restart_at = self.failures + 1, reason, now + RESTART_SECONDS

    def observe(self, now: float) -> None:
        """Note an exit, and the end of the grace."""
        how = self.running.ended() if self.running else None
        if how is not None:
            self._exited(now, how)
        if self._kill_at is not None and now >= self._kill_at:
            self.kill(signal.SIGKILL)

    def _exited(self, now: float, how: str) -> None:
        steady = now - self._since >= STEADY_SECONDS
        self.failures = (0 if steady else self.failures) + (0 if self._killed_by_us else 1)
        self.last_status = how
        self.running, self._killed_by_us, self._restart_at = None, False, now + RESTART_SECONDS

    @property
    def gone(self) -> bool:
        """Stopped for good."""
        return self.stopping and self.running is None

    @property
    def gave_up(self) -> bool:
        """It failed too often in a row, or runs without a sign of life."""
        return not self.stopping and self.running is None and (self.silent or self.failures >= FAILURES)

    def due(self, now: float) -> bool:
        """Whether to start it again now."""
        return not self.stopping and not self.silent and self._restart_at is not None and now >= self._restart_at

    def probe(self, every: float, now: float) -> None:
        """Ask the worker whether it is alive, when it is time to; one silent for too long is killed for good."""
        running = self.running
        if running is None:
            return
        if self.health is None or self.health.pid != running.pid:
            self.health = Health(running.pid, now)
        if not self.health.due(every, now):
            return
        answered = running.answers(min(health.TIMEOUT_SECONDS, every))
        if self.health.note(answered, now) and self.running is running:
            self.silent = True
            self.kill(signal.SIGKILL)

    def failure(self) -> str:
        """Why it was given up, with its last words."""
        if self.silent:
            return f"the worker did not answer /health {health.FAILURES} times in a row: {self._last_words()}"
        return f"the worker failed {self.failures} times in a row, last with {self.last_status}: {self._last_words()}"

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return lines[-1][:500] if lines else "it printed nothing"
        return "it has no log"

    def stop(self, now: float) -> None:
        """SIGTERM, and the clock of the grace."""
        self.stopping, self._kill_at = True, now + GRACE_SECONDS
        self.kill(signal.SIGTERM)

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the worker."""
        running = self.running
        if running is not None:
            self._killed_by_us = True
            running.send(number)
