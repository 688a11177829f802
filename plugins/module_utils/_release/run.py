# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""A run: ticks until something is to be shown, or the end. One tick looks, decides, acts and records."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws, is_passing
from ansible_collections.diffusion.fleet.plugins.module_utils._aws.clock import Clock
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import AwsError, EndpointUnreachable
from ansible_collections.diffusion.fleet.plugins.module_utils._release import evidence
from ansible_collections.diffusion.fleet.plugins.module_utils._release.actions import Actions
from ansible_collections.diffusion.fleet.plugins.module_utils._release.decide import decide, foresee, may_feed
from ansible_collections.diffusion.fleet.plugins.module_utils._release.guard import Guard
from ansible_collections.diffusion.fleet.plugins.module_utils._release.jobs import JobLog
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names, check_deployment_id
from ansible_collections.diffusion.fleet.plugins.module_utils._release.observe import observe
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import (
    Action,
    Context,
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
        self._guard = Guard(aws, self._names)
        self._actions = Actions(aws, self._names, self._guard)
        self._jobs = JobLog(aws, self._names.log_group)

    def preview(self) -> Tick:
        """What the first tick would do, with nothing changed."""
        seen = self._judge(self._observe(Context()), lambda same: same)
        return Tick(seen, foresee(seen), seen.context)

    def tick(self, context: Context) -> Tick:
        """Look, keep the lock and the gate, read the jobs, decide, act.

        Raises: FleetError.
        """
        seen = self._judge(self._keep(self._observe(context)), self._keep)
        action = decide(seen)
        return Tick(seen, action, self._actions.apply(seen, action))

    def ticks(self, context: Context, hold: float) -> t.Iterator[Tick]:
        """Ticks for about ``hold`` seconds, or to the end.

        Raises: FleetError; a passing refusal is borne for a while when a release hangs on this run.
        """
        started = self._clock.now()
        troubled: dt.datetime | None = None
        while True:
            try:
                tick = self.tick(context)
            except (AwsError, EndpointUnreachable) as error:
                troubled = troubled or self._clock.now()
                if context.epoch is None or not is_passing(error) or self._too_long(troubled):
                    raise
                self._clock.sleep(self._options.timing.poll)
                continue
            yield tick
            context, troubled = tick.context, None
            spent = (self._clock.now() - started).total_seconds()
            if tick.done or spent >= hold:
                return
            if tick.action.kind in PAUSES or (tick.action.kind is Kind.PREPARE and not context.prepared):
                self._clock.sleep(self._options.timing.poll)

    def _keep(self, seen: Observation) -> Observation:
        """Say that this run lives, to whoever wants its lock and to the gate. No verdict decides whether it may."""
        seen = dataclasses.replace(seen, context=self._guard.renew(seen))
        if not may_feed(seen, decide(seen)):
            return seen
        return dataclasses.replace(seen, context=self._guard.feed_gate(seen, seen.context))

    def _judge(self, seen: Observation, keep: t.Callable[[Observation], Observation]) -> Observation:
        """With the verdict on the step that waits for one; the run says that it lives before each page of jobs."""
        kept = seen

        def before_page() -> None:
            nonlocal kept
            kept = keep(dataclasses.replace(kept, now=self._clock.now()))

        found = evidence.verdict(self._aws, self._names, seen, self._jobs, before_page)
        return dataclasses.replace(seen, context=kept.context, verdict=found)

    def _too_long(self, troubled: dt.datetime) -> bool:
        """Whether the gate has fired meanwhile: until then nothing is lost, and the lock is proved before a change."""
        timing = self._options.timing
        return (self._clock.now() - troubled).total_seconds() > timing.gate_period * timing.gate_periods

    def _observe(self, context: Context) -> Observation:
        return observe(self._aws, self._names, self._options, context, self._clock.now())
