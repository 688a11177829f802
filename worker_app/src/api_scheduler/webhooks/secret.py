# SPDX-License-Identifier: Apache-2.0
"""The secret that webhooks are signed with: a SecureString, read rarely, never written anywhere."""

from __future__ import annotations

from api_scheduler.aws import Client
from api_scheduler.clock import Clock
from api_scheduler.webhooks.signing import secrets

_REMEMBER_SECONDS = 300.0


class Secret:
    """The keys, remembered for a while: a new secret holds within five minutes."""

    def __init__(self, ssm: Client, parameter: str, clock: Clock) -> None:
        self._ssm = ssm
        self._parameter = parameter
        self._clock = clock
        self._keys: tuple[bytes, ...] = ()
        self._read_at = 0.0

    def __call__(self) -> tuple[bytes, ...]:
        """The keys. Raises InvalidSecret, or what AWS raises."""
        now = self._clock.monotonic()
        if not self._keys or now - self._read_at >= _REMEMBER_SECONDS:
            answer = self._ssm.get_parameter(Name=self._parameter, WithDecryption=True)
            self._keys, self._read_at = secrets(answer["Parameter"]["Value"]), now
        return self._keys
