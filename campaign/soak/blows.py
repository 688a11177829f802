# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to the fleet meanwhile, and when: a schedule from a seed. Values; no AWS."""

from __future__ import annotations

import dataclasses
import random
import typing as t

Kind = t.Literal["kill -9", "SIGTERM", "termination", "Spot notice", "refresh"]
EVERY: t.Mapping[Kind, float] = {
    "kill -9": 8.0,
    "SIGTERM": 10.0,
    "termination": 20.0,
    "Spot notice": 40.0,
    "refresh": 110.0,
}
"""Seconds between two of them, on average."""
RENEW_SECONDS = 0.7
"""How often the faults in force are drawn anew."""
_QUEUE = ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility")
_BUCKET = ("GetObject", "PutObject")
_ILLS = ("throttle", "error500", "lost_reply", "delay", "timeout")
_RARER: tuple[tuple[str, str, str], ...] = (
    ("throttle", "sns", "Publish"),
    ("lost_reply", "sns", "Publish"),
    ("throttle", "ssm", "GetParameter"),
    ("throttle", "autoscaling", "CompleteLifecycleAction"),
    ("lost_reply", "autoscaling", "CompleteLifecycleAction"),
    ("throttle", "autoscaling", "SetInstanceProtection"),
)
_OUTAGE_SHARE = 0.03


@dataclasses.dataclass(frozen=True)
class Blow:
    """One blow, ``at`` seconds after the start; ``pick`` from 0 to 1 chooses whom it hits."""

    at: float
    kind: Kind
    pick: float


def schedule(seconds: float, seed: int) -> list[Blow]:
    """Blows of every kind over that time, at least one of each."""
    chance = random.Random(seed + 1)
    made = [
        Blow(seconds * (0.05 + 0.9 * chance.random()), kind, chance.random())
        for kind, every in EVERY.items()
        for _unused in range(max(1, round(seconds / every)))
    ]
    return sorted(made, key=lambda blow: blow.at)


class Ills:
    """Draws the faults of AWS for the next moment."""

    def __init__(self, seed: int, dead_letter_queue: str) -> None:
        self._chance = random.Random(seed + 2)
        self._dead_letter_queue = dead_letter_queue
        self._outage, self._left = "", 0
        self.asked: dict[str, int] = {}

    def draw(self) -> list[dict[str, t.Any]]:
        """Mostly a few calls that go wrong; now and then a whole service, for some seconds."""
        if self._left == 0 and self._chance.random() < _OUTAGE_SHARE:
            self._outage, self._left = self._chance.choice(("s3", "sqs")), self._chance.randint(2, 9)
            self._count(f"{self._outage} outage")
        if self._left:
            self._left -= 1
            names = _BUCKET if self._outage == "s3" else _QUEUE
            return [{"kind": "error500", "service": self._outage, "operation": name} for name in names]
        return [self._one() for _unused in range(self._chance.choice((0, 1, 1, 2, 3)))]

    def _one(self) -> dict[str, t.Any]:
        draw, times = self._chance.random(), self._chance.choice((1, 1, 2, 3, 6))
        if draw < 0.45:
            return self._fault(self._chance.choice(_ILLS), "sqs", self._chance.choice(_QUEUE), times)
        if draw < 0.85:
            return self._fault(self._chance.choice(_ILLS), "s3", self._chance.choice(_BUCKET), times)
        if draw < 0.92:
            fault = self._fault(self._chance.choice(("throttle", "error500")), "sqs", "SendMessage", times)
            return {**fault, "match": self._dead_letter_queue}
        return self._fault(*self._chance.choice(_RARER), times)

    def _fault(self, kind: str, service: str, operation: str, times: int) -> dict[str, t.Any]:
        self._count(f"{service} {kind}")
        seconds = 0.5 + self._chance.random() if kind in ("delay", "timeout") else 60.0
        return {"kind": kind, "service": service, "operation": operation, "times": times, "seconds": seconds}

    def _count(self, name: str) -> None:
        self.asked[name] = self.asked.get(name, 0) + 1
