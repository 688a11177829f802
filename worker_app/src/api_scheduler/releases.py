# SPDX-License-Identifier: Apache-2.0
"""Whether a release is open: the deployment's status parameter, read rarely."""

from __future__ import annotations

from api_scheduler.aws import AwsFailure, Client, error_code
from api_scheduler.clock import Clock

_STABLE = "stable"
_NEVER_THERE = frozenset({"ParameterNotFound", "AccessDeniedException"})


class ReleaseStatus:
    """The status, remembered for a while. Without an answer the last one holds, at first: open."""

    def __init__(self, ssm: Client, parameter: str, every_seconds: float, clock: Clock) -> None:
        self._ssm = ssm
        self._parameter = parameter
        self._every = every_seconds
        self._clock = clock
        self._read_at: float | None = None
        self._open = True
        self._answered = False

    def open(self) -> bool:
        """Whether a release is under way."""
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at >= self._every:
            self._read_at = now
            self._open = self._read()
        return self._open

    def known(self) -> bool | None:
        """The same for those who must not guess: None while the last look had no answer."""
        release_open = self.open()
        return release_open if self._answered else None

    def _read(self) -> bool:
        try:
            value = self._ssm.get_parameter(Name=self._parameter)["Parameter"]["Value"]
            self._answered = True
            return bool(value != _STABLE)
        except AwsFailure as error:
            self._answered = False
            return self._open and error_code(error) not in _NEVER_THERE
