# SPDX-License-Identifier: Apache-2.0
"""What a job has at hand: the services of the worker, and patience with AWS."""

from __future__ import annotations

import dataclasses
import threading
import typing as t

from api_scheduler.aws import AwsFailure, Clients, error_code
from api_scheduler.clock import Clock
from api_scheduler.documents.result import Worker
from api_scheduler.documents.terms import Terms
from api_scheduler.drawing import DrawThread
from api_scheduler.hands import Hands
from api_scheduler.leases import Leases
from api_scheduler.life import Life
from api_scheduler.logs import Log
from api_scheduler.lookout import Lookout
from api_scheduler.queues import Queue
from api_scheduler.releases import ReleaseStatus
from api_scheduler.reports import Reporter
from api_scheduler.settings import Settings
from api_scheduler.store import Store
from api_scheduler.webhooks import Webhooks

_PATIENCE_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
HOPELESS = frozenset({"AccessDenied", "NoSuchBucket", "InvalidAccessKeyId"})
"""Refusals that time does not mend."""
_T = t.TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Desk:
    """Everything that a job needs."""

    settings: Settings
    worker: Worker
    clients: Clients
    store: Store
    dead_letters: Queue
    releases: ReleaseStatus
    leases: Leases
    lookout: Lookout
    webhooks: Webhooks
    draw_thread: DrawThread
    hands: Hands
    """The messages in hand: each moves while it waits for its drawing."""
    native_side: t.Callable[[], int]
    life: Life
    leaving: t.Callable[[], bool]
    """Whether the instance is to go, asked afresh."""
    reporter: Reporter
    clock: Clock
    log: Log

    def terms(self) -> Terms:
        """What requests are read against."""
        settings, store = self.settings, self.store
        return Terms(
            limits=settings.limits,
            native_side=self.native_side(),
            models=tuple(settings.models),
            loras=frozenset(settings.loras),
            bucket=store.bucket,
            read=lambda key, most: self.patiently(lambda: store.input(key, most)),
        )

    def patiently(self, call: t.Callable[[], _T]) -> _T:
        """Try again for half a minute beyond botocore's own retries: what was drawn is worth waiting for."""
        for seconds in _PATIENCE_SECONDS:
            self.hands.moved()
            try:
                return call()
            except AwsFailure as error:
                if error_code(error) in HOPELESS or self.life.overdue():
                    raise
                self.log.warning("call failed, trying again", code=error_code(error), seconds=seconds)
                self.clock.wait(threading.Event(), seconds)
        return call()
