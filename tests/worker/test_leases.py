# SPDX-License-Identifier: Apache-2.0
"""The lease thread beside the threads that hand messages back."""

from __future__ import annotations

import datetime as dt
import io
import threading
import typing as t

from api_scheduler.clock import SystemClock
from api_scheduler.leases import Leases
from api_scheduler.logs import Log
from api_scheduler.queues import Message

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
MESSAGE = Message("url", "id", "handle", "{}", 1, NOW, NOW, False)


class Slow:
    """A queue whose first call takes until it is let go."""

    def __init__(self) -> None:
        self.inside, self.go_on = threading.Event(), threading.Event()
        self.hidden: list[int] = []

    def change_message_visibility(self, VisibilityTimeout: int, **_unused: t.Any) -> None:
        self.inside.set()
        assert self.go_on.wait(90)
        self.hidden.append(VisibilityTimeout)


def test_an_extension_under_way_does_not_hide_what_is_handed_back() -> None:
    sqs, clock = Slow(), SystemClock()
    leases = Leases(sqs, 0, clock, Log(clock, {}, io.StringIO()))
    leases.hold(MESSAGE, lambda: False)
    extending = threading.Thread(target=leases.extend_due)
    extending.start()
    assert sqs.inside.wait(90)
    released = threading.Event()
    threading.Thread(target=lambda: (leases.release(MESSAGE), released.set())).start()
    assert not released.wait(0.2)
    sqs.go_on.set()
    assert released.wait(90)
    extending.join(90)
    assert sqs.hidden == [0]
    leases.extend_due()
    assert sqs.hidden == [0]
