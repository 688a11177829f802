# SPDX-License-Identifier: Apache-2.0
"""Tells an application by HTTPS that its request has ended. Best effort: what must not be missed goes to the topic.

Nothing in here can stop or delay a job: jobs put a notice into a bounded line and go on, and one thread sends.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import threading
import typing as t

from api_scheduler.aws import AwsFailure, error_code
from api_scheduler.clock import Clock, iso
from api_scheduler.documents.envelope import InvalidRequest
from api_scheduler.logs import Log
from api_scheduler.webhooks import signing
from api_scheduler.webhooks.addresses import Hosts, NotAllowed, Target
from api_scheduler.webhooks.post import PostFailure

TRIES = 5
_PAUSE_FACTOR = 4.0
_LONGEST_LINE = 1000
_OLDEST_SECONDS = 3600.0
_LOOK_SECONDS = 1.0
_GONE = 410

Post = t.Callable[[Target, bytes, t.Mapping[str, str]], int]


@dataclasses.dataclass(eq=False)
class Delivery:
    """A notice on its way."""

    request_id: str
    message_id: str
    target: Target
    body: bytes
    since: float
    due: float
    failures: int = 0


class Webhooks:
    """The line of notices and its one sender."""

    def __init__(
        self,
        hosts: Hosts,
        keys: t.Callable[[], tuple[bytes, ...]],
        post: Post,
        backoff_seconds: float,
        clock: Clock,
        log: Log,
    ) -> None:
        self._hosts = hosts
        self._keys = keys
        self._post = post
        self._backoff = backoff_seconds
        self._clock = clock
        self._log = log
        self._line: collections.deque[Delivery] = collections.deque()
        self._resting: dict[str, float] = {}
        """Hosts that have just failed, and until when they are left alone: the others' notices overtake theirs."""
        self._lock = threading.Lock()
        self._news, self._empty = threading.Event(), threading.Event()
        self._empty.set()

    # -- the jobs' side ---------------------------------------------------------------------------------------------

    def check(self, url: str | None, request_id: str, context: t.Any) -> None:
        """Refuse a request whose webhook this deployment does not call. Raises InvalidRequest."""
        if url is None:
            return
        try:
            self._hosts.target(url)
        except NotAllowed as error:
            raise InvalidRequest(f"webhook: {error}", request_id, context) from None

    def tell(self, body: str, notice: t.Mapping[str, t.Any]) -> None:
        """Line up the notice of a request's end, if its body asks for one. Never raises, never waits."""
        url = _wanted(body) if self._hosts else None
        if url is None:
            return
        try:
            target = self._hosts.target(url)
        except NotAllowed:
            return  # its refusal is the answer, and it goes nowhere else
        now = self._clock.monotonic()
        # The same notice has the same id, whichever worker sends it: receivers can tell a repetition.
        digest = hashlib.sha256(f"{url}\n{json.dumps(notice, sort_keys=True)}".encode()).hexdigest()
        document = {"type": f"request.{notice['status']}", "timestamp": iso(self._clock.now()), "data": dict(notice)}
        delivery = Delivery(notice["id"], f"msg_{digest[:32]}", target, json.dumps(document).encode(), now, now)
        with self._lock:
            if len(self._line) < _LONGEST_LINE:
                self._line.append(delivery)
                self._empty.clear()
                self._news.set()
                return
        self._given_up(delivery, f"{_LONGEST_LINE} wait already")

    # -- the thread's side ------------------------------------------------------------------------------------------

    def run(self, stopped: threading.Event) -> None:
        """Send until stopped, and then what has not been tried yet: the body of the webhook thread."""
        while not stopped.is_set():
            delivery, pause = self._next()
            if delivery is not None:
                self._deliver(delivery)
            else:
                self._clock.wait(self._news, min(pause, _LOOK_SECONDS))
        with self._lock:
            left = list(self._line)
        for delivery in left:
            if max(delivery.due, self._resting.get(delivery.target.name, 0.0)) > self._clock.monotonic():
                self._leave(delivery)
                self._given_up(delivery, "the worker stops")
            else:
                self._deliver(delivery, last=True)

    def finish(self, seconds: float) -> None:
        """Wait until everything is sent, at most that long."""
        self._clock.wait(self._empty, seconds)

    def _next(self) -> tuple[Delivery | None, float]:
        """What is to be sent now; without any, how long nothing will be."""
        now = self._clock.monotonic()
        with self._lock:
            self._news.clear()
            times = [max(one.due, self._resting.get(one.target.name, 0.0)) for one in self._line]
            for delivery, due in zip(self._line, times, strict=True):
                if due <= now:
                    return delivery, 0.0
        return None, min(times, default=now + _LOOK_SECONDS) - now

    def _deliver(self, delivery: Delivery, last: bool = False) -> None:
        trouble = self._try(delivery)
        now = self._clock.monotonic()
        if trouble is None:
            self._resting.pop(delivery.target.name, None)
            self._leave(delivery)
            return
        delivery.failures += 1
        pause = self._backoff * _PAUSE_FACTOR ** (delivery.failures - 1)
        delivery.due = self._resting[delivery.target.name] = now + pause
        too_late = delivery.due - delivery.since > _OLDEST_SECONDS
        if last or too_late or delivery.failures >= TRIES or trouble == str(_GONE):
            self._leave(delivery)
            self._given_up(delivery, trouble)
        else:
            self._log.info("webhook failed", **_named(delivery), reason=trouble, seconds=pause)

    def _try(self, delivery: Delivery) -> str | None:
        """Send it; what went wrong."""
        try:
            seconds = int(self._clock.now().timestamp())
            headers = signing.headers(self._keys(), delivery.message_id, seconds, delivery.body)
            status = self._post(delivery.target, delivery.body, headers)
        except (*AwsFailure, signing.InvalidSecret) as error:
            return f"secret not read: {error_code(error)}"
        except PostFailure as error:
            return f"{type(error).__name__}: {error}"[:200]
        except Exception as error:  # noqa: BLE001 no notice is worth a worker
            return type(error).__name__
        return None if 200 <= status < 300 else str(status)

    def _leave(self, delivery: Delivery) -> None:
        with self._lock:
            self._line.remove(delivery)
            if not self._line:
                self._empty.set()

    def _given_up(self, delivery: Delivery, reason: str) -> None:
        self._log.warning("webhook given up", **_named(delivery), reason=reason)


def _named(delivery: Delivery) -> dict[str, t.Any]:
    names = {"request_id": delivery.request_id, "host": delivery.target.name, "webhook_id": delivery.message_id}
    return {**names, "failures": delivery.failures}


def _wanted(body: str) -> str | None:
    """The address in a request's body, which may be anything."""
    if "webhook" not in body and "\\u" not in body:
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    url = document.get("webhook") if isinstance(document, dict) else None
    return url if isinstance(url, str) else None
