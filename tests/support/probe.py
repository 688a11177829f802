# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts the controller's AWS calls, and disturbs one of them."""

from __future__ import annotations

import enum
import typing as t

from botocore.exceptions import ReadTimeoutError

from local_aws.harness import Harness
from tests.support.fleet import Fleet

Send = t.Callable[[], t.Any]


class Died(BaseException):
    """The controller is gone; nothing of it may run any more."""


class Trouble(enum.StrEnum):
    """What happens to a call."""

    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"
    KILLED_RESENT = "killed, sent twice"
    """The first reply was lost, the client sent again, and the controller dies on the second reply."""
    THROTTLED = "throttled"
    ERROR500 = "5xx"
    TIMED_OUT = "timed out"
    """The call never arrives."""
    REPLY_LOST = "reply lost"
    """The call arrives, and the client is told of a time-out."""
    RESENT = "sent twice"
    """The first reply was lost, and the client sent again."""


KILLS = (Trouble.KILLED_BEFORE, Trouble.KILLED_AFTER, Trouble.KILLED_RESENT)
FAULTS = (Trouble.THROTTLED, Trouble.ERROR500, Trouble.TIMED_OUT, Trouble.REPLY_LOST, Trouble.RESENT)
ANSWERS = {Trouble.THROTTLED: "throttle", Trouble.ERROR500: "error500"}
"""Troubles that AWS answers, by the fault of local_aws that words the answer."""


class Probe:
    """Stands between the controller's clients and AWS."""

    def __init__(self, harness: Harness) -> None:
        if harness.direct is None:
            raise ValueError("a probe needs a harness with direct=True")
        harness.direct.through = self
        self._harness = harness
        self.listening = False
        self.calls: list[str] = []
        """``service.Operation`` of the calls so far."""
        self.disturb: t.Callable[[int], Trouble | None] = lambda _number: None
        """Asked with the number of each call, from 0."""

    def __call__(self, call: str, request: t.Any, send: Send) -> t.Any:
        """Let a call through, or not."""
        if not self.listening:
            return send()
        self.calls.append(call)
        trouble = self.disturb(len(self.calls) - 1)
        return send() if trouble is None else self._meet(trouble, request, send)

    def _meet(self, trouble: Trouble, request: t.Any, send: Send) -> t.Any:
        if trouble in ANSWERS:
            return self._answered(ANSWERS[trouble], send)
        if trouble in (Trouble.KILLED_AFTER, Trouble.KILLED_RESENT, Trouble.REPLY_LOST, Trouble.RESENT):
            send()
        if trouble is Trouble.RESENT:
            return send()
        if trouble is Trouble.KILLED_RESENT:
            send()
        if trouble in (Trouble.TIMED_OUT, Trouble.REPLY_LOST):
            raise ReadTimeoutError(endpoint_url=request.url)
        raise Died

    def _answered(self, kind: str, send: Send) -> t.Any:
        self._harness.world.faults.replace([{"kind": kind, "times": 1}])
        try:
            return send()
        finally:
            self._harness.world.faults.clear()


class ProbedFleet(Fleet):
    """A fleet whose controller is probed; its workers and whoever looks are not."""

    def __init__(self, harness: Harness, size: int) -> None:
        self.probe = Probe(harness)
        self.on_tick: t.Callable[[dict[str, t.Any]], None] = lambda _result: None
        super().__init__(harness, size)

    def call(self, params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """One call of the module, listened to."""
        self.probe.listening = True
        try:
            result = super().call(params)
        finally:
            self.probe.listening = False
        self.on_tick(result)
        return result
