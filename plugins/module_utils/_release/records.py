# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What every action writes: the ledger with its projections, the history, and the events."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._release import events, history, store
from ansible_collections.diffusion.fleet.plugins.module_utils._release.comparison import (
    compared,
    verdict_row,
    with_pause,
    with_verdict,
    without_pause,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.guard import Guard
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger, Release, release_fields
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.plan import Plan
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import Action, Context, Observation


class Records:
    """The part of the actions that writes things down."""

    def __init__(self, aws: Aws, names: Names, guard: Guard) -> None:
        self._aws = aws
        self._names = names
        self._guard = guard

    def _project(self, ledger: Ledger, seen: Observation) -> None:
        store.write_projections(self._aws.client("ssm"), self._names, ledger.projections(), seen.projections)

    def _record(self, seen: Observation, ledger: Ledger) -> None:
        """One transition: the ledger in one call, then its projections."""
        mine = dataclasses.replace(ledger, epoch=seen.held_epoch)
        store.write_ledger(self._aws.client("ssm"), self._names, mine)
        self._project(mine, seen)

    # ------------------------------------------------------------ events

    def _tell(self, seen: Observation, said: t.Sequence[events.Event], context: Context) -> Context:
        """Publish; what cannot be published never stops a release, and is said at its end."""
        try:
            for event in said:
                events.publish(self._aws.client("sns"), self._names, seen, event)
        except FleetError as error:
            context = dataclasses.replace(context, unheard=context.unheard or f" (warning: {error.message})")
        return dataclasses.replace(context, reason=f"{context.reason}{context.unheard}") if context.outcome else context

    # ------------------------------------------------------------ history

    def _bucket(self, seen: Observation) -> str:
        return self._names.bucket(seen.group.account_id)

    def _open_record(self, seen: Observation, ledger: Ledger, kind: str, plan: Plan | None) -> None:
        record = {
            "schema": 1,
            "sequence": ledger.sequence,
            "kind": kind,
            "deployment_id": self._names.deployment_id,
            "version": version_of(ledger.candidate if kind == "deploy" else ledger.stable),
            "candidate": release_fields(ledger.candidate),
            "from": release_fields(seen.ledger.stable),
            "plan": plan.as_dict() if plan else None,
            "verdicts": [],
            "outcome": "open",
            "reason": ledger.reason,
            "started_at": ledger.started_at,
            "started_by": ledger.started_by,
            "finished_at": None,
        }
        history.write(self._aws.client("s3"), self._bucket(seen), record)

    def _amend(self, seen: Observation, action: Action, **changes: t.Any) -> None:
        """Add the verdict of the action's step, and whatever else is known now."""
        record = self._read_record(seen)
        if action.step and seen.verdict is not None and seen.plan is not None:
            record = with_verdict(record, verdict_row(seen, action))
        if action.pause:
            record = with_pause(record, action, seen.now)
        elif seen.ledger.paused is not None:
            record = without_pause(record, seen.now)
        self._write_record(seen, {**record, **changes})

    def _close_record(self, seen: Observation, **changes: t.Any) -> None:
        """The end: what was planned beside what happened."""
        record = without_pause(self._read_record(seen), seen.now) | changes
        self._write_record(seen, record | {"comparison": compared(record)})

    def _read_record(self, seen: Observation) -> dict[str, t.Any]:
        sequence = seen.ledger.sequence
        found = history.read(self._aws.client("s3"), self._bucket(seen), sequence)
        return found or {"sequence": sequence, "verdicts": []}

    def _write_record(self, seen: Observation, record: t.Mapping[str, t.Any]) -> None:
        history.write(self._aws.client("s3"), self._bucket(seen), record)


def version_of(release: Release | None) -> str | None:
    """Its version, where there is one."""
    return release.version if release else None
