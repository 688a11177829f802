# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Passing, pausing and going on, what is held meanwhile, and mending: each can be done again after a crash."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._release import alarms, fleet, templates
from ansible_collections.diffusion.fleet.plugins.module_utils._release import (
    ledger as ledgers,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.plan import Plan, in_full
from ansible_collections.diffusion.fleet.plugins.module_utils._release.records import Records
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import (
    SCALING,
    Action,
    Context,
    Observation,
    Target,
)


class PauseActions(Records):
    """Every method answers the run's new context."""

    def _pass_step(self, seen: Observation, action: Action) -> Context:
        """Passed, and paused where that was planned, in one transition: no run may find the one without the other."""
        self._amend(seen, action)
        ledger = ledgers.passed(seen.ledger, action.step, refreshing=seen.ledger.paused is None)
        if action.pause:
            ledger = ledgers.paused(
                dataclasses.replace(ledger, refresh_id=seen.ledger.refresh_id),
                why=action.pause,
                at=seen.now.isoformat(timespec="seconds"),
            )
        self._record(seen, ledger)
        promoted = seen.context.promoted or (action.by_hand and not action.pause)
        return dataclasses.replace(
            seen.context, promoted=promoted, prepared=seen.context.prepared and not seen.ledger.paused
        )

    def _pause(self, seen: Observation, action: Action) -> Context:
        self._amend(seen, action)
        at = seen.now.isoformat(timespec="seconds")
        self._record(seen, ledgers.paused(seen.ledger, why=action.pause, at=at))
        return seen.context

    def _rest(self, seen: Observation, action: Action) -> Context:
        """Nothing is left to watch: the gate would only cry wolf."""
        reason = action.reason
        try:
            alarms.delete_alarms(self._aws.client("cloudwatch"), self._names)
        except FleetError as error:
            reason += f" (warning: {error.message})"
        return dataclasses.replace(seen.context, outcome="paused", reason=reason)

    def _resume(self, seen: Observation, action: Action) -> Context:
        """The plan of what is left first, then the ledger: whoever follows finds the plan that was meant."""
        plan = t.cast(Plan, seen.plan)
        plan = in_full(plan, action.step) if seen.options.full else plan
        self._amend(seen, action, plan=plan.as_dict())
        self._record(seen, ledgers.passed(seen.ledger, action.step, refreshing=False))
        return dataclasses.replace(seen.context, promoted=True, prepared=False)

    def _hold_scaling(self, seen: Observation, action: Action) -> Context:
        """In the ledger before it is done: whoever takes over knows that it has to be undone."""
        self._record(seen, dataclasses.replace(seen.ledger, held=True))
        fleet.suspend(self._aws.client("autoscaling"), self._names.group, SCALING)
        return seen.context

    def _free_scaling(self, seen: Observation, action: Action) -> Context:
        fleet.resume(self._aws.client("autoscaling"), self._names.group, SCALING)
        self._record(seen, dataclasses.replace(seen.ledger, held=False))
        return seen.context

    def _remake_template(self, seen: Observation, action: Action) -> Context:
        """Made and then recorded; made already by a run that died, it is found by its description."""
        target = t.cast(Target, seen.remake)
        ec2, identity = self._aws.client("ec2"), target.release.release_id
        number = templates.find_version(ec2, self._names, identity)
        if number is None and not target.template:
            return seen.context  # what somebody made by hand is gone again: the next look tells
        number = number or templates.create_version(ec2, self._names, identity, target.template)
        stable = dataclasses.replace(target.release, template_version=number)
        self._record(seen, dataclasses.replace(seen.ledger, stable=stable))
        return seen.context

    def _report(self, seen: Observation, action: Action) -> Context:
        """The end has been told: the next rollback by hand is a new one."""
        self._guard.check(seen)
        self._record(seen, dataclasses.replace(seen.ledger, ending=None))
        return dataclasses.replace(seen.context, outcome="rolled_back", reason=action.line)
