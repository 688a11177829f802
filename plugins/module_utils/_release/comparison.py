# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""A release's record in the making: verdicts, pauses, and at the end what was planned beside what happened. Pure."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._release.plan import Plan
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import Action, Observation

Record = t.Mapping[str, t.Any]


def verdict_row(seen: Observation, action: Action) -> dict[str, t.Any]:
    """The verdict on a step: what was planned and asked of it, how many instances ran, and the numbers."""
    planned = dataclasses.asdict(t.cast(Plan, seen.plan).judged[action.step - 1])
    candidate = seen.ledger.candidate
    return {
        "step": action.step,
        **planned,
        "actual": seen.group.serving(candidate.template_version if candidate else None),
        "in_service": seen.group.in_service,
        "reached_at": seen.ledger.step_reached_at,
        "decided_at": seen.now.isoformat(),
        "promoted_by": seen.options.by if action.by_hand else None,
        **(seen.verdict.as_dict() if seen.verdict else {}),
    }


def with_verdict(record: Record, row: Record) -> dict[str, t.Any]:
    """The last word on a step counts."""
    earlier = [other for other in record["verdicts"] if other["step"] != row["step"]]
    return {**record, "verdicts": [*earlier, dict(row)]}


def with_pause(record: Record, action: Action, now: dt.datetime) -> dict[str, t.Any]:
    """A pause begins; one that is open already is the same one, told again after a crash."""
    row = {"step": action.step, "why": action.pause, "from": now.isoformat(), "until": None}
    return {**record, "pauses": [*(other for other in record.get("pauses", ()) if other["until"]), row]}


def without_pause(record: Record, now: dt.datetime) -> dict[str, t.Any]:
    """Whatever pause is open ends."""
    pauses = [{**row, "until": row["until"] or now.isoformat()} for row in record.get("pauses", ())]
    return {**record, **({"pauses": pauses} if pauses else {})}


def compared(record: Record) -> dict[str, t.Any] | None:
    """Planned and actual instances at each step, planned and actual seconds; None without a plan."""
    if not record.get("plan"):
        return None
    paused = sum(_seconds(row["from"], row["until"]) for row in record.get("pauses", ()))
    whole = _seconds(record["started_at"], record["finished_at"])
    return {
        "planned_seconds": record["plan"]["expected_seconds"],
        "actual_seconds": round(whole - paused),
        "paused_seconds": round(paused),
        "steps": [
            {name: row.get(key) for name, key in COMPARED.items()}
            for row in sorted(record["verdicts"], key=lambda row: int(row["step"]))
        ],
    }


COMPARED = {"step": "step", "percentage": "percentage", "planned": "instances", "actual": "actual"}


def _seconds(since: str, until: str) -> float:
    return (dt.datetime.fromisoformat(until) - dt.datetime.fromisoformat(since)).total_seconds()
