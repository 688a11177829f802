# SPDX-License-Identifier: Apache-2.0
"""Every call of the AWS API that was answered: what, for whom, when, and how long it took."""

from __future__ import annotations

import collections
import dataclasses
import re
import typing as t

_KEY = re.compile(r"Credential=([^/,]+)/")
_KEPT = 100_000


@dataclasses.dataclass(frozen=True)
class Answered:
    """One call. ``access_key`` tells a person's calls from those of the workers, who use their role's keys."""

    time: str
    service: str
    operation: str
    access_key: str
    seconds: float


class Calls:
    """The newest calls, oldest first."""

    def __init__(self) -> None:
        self._entries: collections.deque[Answered] = collections.deque(maxlen=_KEPT)

    def record(self, time: str, service: str, operation: str, authorization: str, seconds: float) -> None:
        """Remember one."""
        key = _KEY.search(authorization)
        self._entries.append(Answered(time, service, operation, key[1] if key else "", round(seconds, 6)))

    def entries(self) -> list[dict[str, t.Any]]:
        """All that are kept, as documents."""
        return [dataclasses.asdict(one) for one in list(self._entries)]

    def clear(self) -> None:
        """Forget them."""
        self._entries.clear()
