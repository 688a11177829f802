# SPDX-License-Identifier: Apache-2.0
"""Waiting for results: how often to look, and for how long."""

from __future__ import annotations

import concurrent.futures
import threading
import typing as t

from api_scheduler.client.errors import CallFailed
from api_scheduler.client.results import Result
from api_scheduler.clock import Clock

Look = t.Callable[[str], Result | None]
_FIRST_SECONDS, _FACTOR, _LONGEST_SECONDS = 0.2, 1.5, 5.0
_READERS = 8
_HOPELESS = frozenset({"AccessDenied", "403", "NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch"})


def next_pause(pause: float, news: bool) -> float:
    """Seconds until the next look: short again after news, else longer each time."""
    return _FIRST_SECONDS if news or not pause else min(pause * _FACTOR, _LONGEST_SECONDS)


def arrivals(look: Look, ids: t.Iterable[str], timeout: float | None, clock: Clock) -> t.Iterator[Result]:
    """Results as they come, until all are there or the time is up.

    A look that AWS fails is repeated; it is an error only where access is refused, or when it is the last one.
    """
    pending = list(dict.fromkeys(ids))
    began, pause = clock.monotonic(), 0.0
    with concurrent.futures.ThreadPoolExecutor(min(_READERS, len(pending) or 1), "results") as readers:
        while pending:
            found, trouble = _round(look, pending, readers)
            yield from found.values()
            pending = [request_id for request_id in pending if request_id not in found]
            left = None if timeout is None else began + timeout - clock.monotonic()
            if left is not None and left <= 0:
                if pending and trouble:
                    raise trouble
                return
            pause = next_pause(pause, bool(found))
            if pending:
                clock.wait(threading.Event(), pause if left is None else min(pause, left))


def _round(
    look: Look, ids: t.Sequence[str], readers: concurrent.futures.Executor
) -> tuple[dict[str, Result], CallFailed | None]:
    """One look at each: what is there, and the last failure of a look."""
    trouble: CallFailed | None = None
    found: dict[str, Result] = {}
    for request_id, future in [(request_id, readers.submit(look, request_id)) for request_id in ids]:
        try:
            result = future.result()
        except CallFailed as error:
            if error.code in _HOPELESS:
                raise
            trouble = error
        else:
            if result is not None:
                found[request_id] = result
    return found, trouble
