# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Waiting: a look, a predicate, a clock."""

from __future__ import annotations

import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.clock import Clock

S = t.TypeVar("S")


class Waited(t.NamedTuple, t.Generic[S]):
    """How a wait ended."""

    ok: bool
    last: S
    elapsed: float


def wait_until(
    look: t.Callable[[], S], done: t.Callable[[S], bool], clock: Clock, timeout: float, interval: float
) -> Waited[S]:
    """Look until ``done`` or until ``timeout`` seconds have passed; never sleeps beyond the time-out."""
    start = clock.now()
    while True:
        last = look()
        elapsed = (clock.now() - start).total_seconds()
        if done(last) or elapsed >= timeout:
            return Waited(done(last), last, elapsed)
        clock.sleep(min(interval, timeout - elapsed))
