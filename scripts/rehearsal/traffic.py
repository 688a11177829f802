# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that flow while a release goes out, and waiting for what they bring."""

from __future__ import annotations

import threading
import time
import types
import typing as t

from .account import Account
from .background import Background
from .prompts import request
from .stage import DemoFailed


class Traffic(Background):
    """Sends a request every so many seconds from ``with`` to its end, and to at least a number of them."""

    def __init__(self, account: Account, prefix: str, every: float, at_least: int) -> None:
        super().__init__(f"traffic-{prefix}")
        self.sent: list[str] = []
        self.sent_while_open = 0
        self._account = account
        self._prefix = prefix
        self._every = every
        self._at_least = at_least
        self._closing = threading.Event()

    def __enter__(self) -> Traffic:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.sent_while_open = len(self.sent)
        self._closing.set()
        self.join(60)
        if kind is None and (self.error is not None or self.is_alive()):
            raise DemoFailed(f"the {self._prefix} requests could not be sent: {self.error or 'the queue hangs'}")

    def work(self) -> None:
        """Send, until it is enough."""
        while not self._closing.wait(self._every) or len(self.sent) < self._at_least:
            one = request(len(self.sent), self._prefix)
            self._account.send(one)
            self.sent.append(one["id"])


def wait_until(what: str, condition: t.Callable[[], bool], seconds: float, every: float = 1.0) -> None:
    """Wait for the condition. Raises DemoFailed when it does not come true in time."""
    never = threading.Event()
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise DemoFailed(f"{what}: not within {seconds:.0f} s")
        never.wait(every)


def wait_for_answers(account: Account, ids: t.Collection[str], seconds: float = 120) -> None:
    """Wait until each of these requests has its result."""
    wanted = set(ids)
    wait_until(f"results of {len(wanted)} requests", lambda: wanted <= account.answered(), seconds)
