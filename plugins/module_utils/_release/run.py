# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""A run: ticks until something is to be shown, or the end. One tick looks, decides, acts and records."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws
from ansible_collections.diffusion.fleet.plugins.module_utils._aws.clock import Clock
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError, LockLost
from ansible_collections.diffusion.fleet.plugins.module_utils._release.actions import Actions
from ansible_collections.diffusion.fleet.plugins.module_utils._release.advance import overdue
from ansible_collections.diffusion.fleet.plugins.module_utils._release.decide import decide
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Status
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names, check_deployment_id
from ansible_collections.diffusion.fleet.plugins.module_utils._release.observe import observe
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import (
    Action,
    Context,
    Goal,
    Kind,
    Observation,
    Options,
)

ENDS = frozenset({Kind.DONE, Kind.REFUSE})
PAUSES = frozenset({Kind.WAIT, Kind.WATCH})


@dataclasses.dataclass(frozen=True)
class Tick:
    """What one tick saw, did and remembers."""

    seen: Observation
    action: Action
    context: Context

    @property
    def done(self) -> bool:
        """Whether the run is over."""
        return self.action.kind in ENDS


class Run:
    """A deploy or a rollback, tick by tick."""

    def __init__(self, aws: Aws, options: Options, clock: Clock) -> None:
        self._aws = aws
        self._options = options
        self._clock = clock
        self._names = Names(check_deployment_id(options.deployment_id))
        self._actions = Actions(aws, self._names)

    def preview(self) -> Tick:
        """What the first tick would do, with nothing changed."""
        seen = self._observe(Context())
        return Tick(seen, decide(seen), seen.context)

    def tick(self, context: Context) -> Tick:
        """Look, keep lock and gate alive, decide, act.

        Raises: FleetError; the lock is given back first, where this run holds it.
        """
        seen = self._observe(context)
        try:
            seen = dataclasses.replace(seen, context=self._actions.keep_alive(seen, _watches(seen)))
            action = decide(seen)
            return Tick(seen, action, self._actions.apply(seen, action))
        except FleetError as error:
            if not isinstance(error, LockLost):
                self._give_up_lock(seen)
            raise

    def ticks(self, context: Context, hold: float) -> t.Iterator[Tick]:
        """Ticks for about ``hold`` seconds, or to the end."""
        started = self._clock.now()
        while True:
            tick = self.tick(context)
            yield tick
            context = tick.context
            spent = (self._clock.now() - started).total_seconds()
            if tick.done or spent >= hold:
                return
            if tick.action.kind in PAUSES:
                self._clock.sleep(self._options.timing.poll)

    def _observe(self, context: Context) -> Observation:
        return observe(self._aws, self._names, self._options, context, self._clock.now())

    def _give_up_lock(self, seen: Observation) -> None:
        try:
            self._actions.release_lock(seen)
        except FleetError:
            return  # it expires by itself; the first error is the one to report


def _watches(seen: Observation) -> bool:
    """Whether the gate is to be fed: by whoever judges the release, or waits for a dead run's lock to do so."""
    forward = seen.options.goal is Goal.DEPLOYED and seen.ledger.status is Status.IN_PROGRESS
    return forward and not overdue(seen)
