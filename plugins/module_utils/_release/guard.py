# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Holding the lock, proving it before each change, and feeding the gate."""

from __future__ import annotations

import dataclasses
import datetime as dt

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import LockLost
from ansible_collections.diffusion.fleet.plugins.module_utils._release import alarms, store
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import Context, Observation


class Guard:
    """The lock of one run.

    Epochs only ever grow, because the ledger keeps the newest; a run that was overtaken while it was stopped finds
    a later epoch, or another's record, and changes nothing more.
    """

    def __init__(self, aws: Aws, names: Names) -> None:
        self._aws = aws
        self._names = names

    def take(self, seen: Observation) -> Context:
        """Create the lock of the next epoch; whoever was first wins."""
        epoch = max(seen.ledger.epoch, seen.lock.epoch if seen.lock else 0) + 1
        record = store.lock_record(seen.options.run, seen.options.owner, seen.options.host)
        if not store.create_lock(self._aws.client("ssm"), self._names, epoch, record):
            return seen.context  # somebody was first, or the first reply was lost: the next look tells
        now = seen.now.isoformat()
        dead = seen.lock.by if seen.lock else None
        return dataclasses.replace(seen.context, epoch=epoch, renewed_at=now, held_since=now, taken_from=dead)

    def claim(self, seen: Observation) -> Context:
        """Put the epoch into the ledger, which shuts out every earlier holder, and remove their locks."""
        epoch = seen.held_epoch
        store.write_ledger(self._aws.client("ssm"), self._names, dataclasses.replace(seen.ledger, epoch=epoch))
        store.delete_older_locks(self._aws.client("ssm"), self._names, epoch)
        since = seen.context.held_since or seen.now.isoformat()
        return dataclasses.replace(seen.context, epoch=epoch, held_since=since)

    def check(self, seen: Observation) -> None:
        """Prove that the lock is still this run's.

        Raises: LockLost.
        """
        store.check_lock(self._aws.client("ssm"), self._names, seen.held_epoch, seen.options.run)

    def renew(self, seen: Observation) -> Context:
        """Say that the holder is alive, when it is time to."""
        timing, context = seen.options.timing, seen.context
        if not seen.mine or not due(seen.now, context.renewed_at, timing.lock_renew - timing.poll):
            return context
        self.check(seen)
        record = store.lock_record(seen.options.run, seen.options.owner, seen.options.host)
        store.renew_lock(self._aws.client("ssm"), self._names, seen.held_epoch, record)
        return dataclasses.replace(context, renewed_at=seen.now.isoformat())

    def release(self, seen: Observation) -> None:
        """Give the lock back where this run still holds it."""
        if not seen.mine:
            return
        try:
            self.check(seen)
        except LockLost:
            return
        store.delete_lock(self._aws.client("ssm"), self._names, seen.held_epoch)

    def feed_gate(self, seen: Observation, context: Context) -> Context:
        """Say that the open release is watched."""
        if not due(seen.now, context.gate_fed_at, seen.options.timing.gate_period / 3):
            return context
        alarms.feed_gate(self._aws.client("cloudwatch"), self._names)
        return dataclasses.replace(context, gate_fed_at=seen.now.isoformat())


def due(now: dt.datetime, last: str | None, seconds: float) -> bool:
    """Whether that many seconds have passed since ``last``, on this machine's clock."""
    return last is None or (now - dt.datetime.fromisoformat(last)).total_seconds() >= seconds
