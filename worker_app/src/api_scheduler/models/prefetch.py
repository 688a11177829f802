# SPDX-License-Identifier: Apache-2.0
"""Brings the models that nobody has asked for yet to this machine, so that the first request does not wait for one."""

from __future__ import annotations

import threading
import typing as t

from api_scheduler.clock import Clock
from api_scheduler.logs import Log
from api_scheduler.models.catalogue import Models
from api_scheduler.models.errors import ModelUnusable

_LOOK_SECONDS = 1.0


def prefetch(models: Models, ready: t.Callable[[], bool], stopped: threading.Event, clock: Clock, log: Log) -> None:
    """One after the other, once the worker is ready; one that cannot be had is told and passed over."""
    for name in models.remote:
        if name == models.names[0]:
            continue  # the worker has begun with it
        while not ready():
            if clock.wait(stopped, _LOOK_SECONDS):
                return
        try:
            with models.open(name):
                continue
        except ModelUnusable as error:
            log.warning("model not fetched", model=name, error=str(error)[:500])
