# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What ``release_info`` answers to machines: everything that is known of a deployment, read once."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import NotFound
from ansible_collections.diffusion.fleet.plugins.module_utils._release import fleet, history, store, takeover
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger, Status, release_fields
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names, check_deployment_id
from ansible_collections.diffusion.fleet.plugins.module_utils._release.plan import Plan, plan_from_dict
from ansible_collections.diffusion.fleet.plugins.module_utils._release.status_text import status_lines
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import Group, Lock, Refresh, Timing

Record = t.Mapping[str, t.Any]
SCHEMA = 1


def read_status(aws: Aws, deployment_id: str, past: int, now: dt.datetime) -> dict[str, t.Any]:
    """The state of the deployment.

    Raises: NotFound when it is not provisioned.
    """
    names = Names(check_deployment_id(deployment_id))
    autoscaling = aws.client("autoscaling")
    group = fleet.read_group(autoscaling, names)
    parameters = store.read_parameters(aws.client("ssm"), names)
    adoption = takeover.look(aws, names, group, parameters)
    if not parameters.provisioned and adoption is None:
        raise NotFound(f"Parameter {names.host} is missing: run provision.yml -e deployment_id={deployment_id}.")
    ledger = adoption.ledger if adoption else parameters.ledger
    lock = _lock(parameters.lock, now)
    status = {
        "schema": SCHEMA,
        "deployment_id": deployment_id,
        "time": now.isoformat(),
        **_recorded(ledger),
        "inferred": list(adoption.notes) if adoption else [],
        "parameters": dict(parameters.projections),
        "lock": lock,
        **_from_history(aws, names, ledger, group, past if parameters.provisioned else 0, now),
        "group": {"desired": group.desired, "in_service": group.in_service, "maximum": group.maximum},
        "instances": share(ledger, group),
        "refresh": _refresh(fleet.read_newest_refresh(autoscaling, names.group)),
        "next": next_step(ledger, lock, group) if adoption is None else _first_run(parameters),
    }
    return status | {"lines": status_lines(status)}


def _recorded(ledger: Ledger) -> dict[str, t.Any]:
    return {
        "status": ledger.status.value,
        **{role: release_fields(getattr(ledger, role)) for role in ("stable", "previous", "candidate")},
        "rejected": [dataclasses.asdict(item) for item in ledger.rejected],
        "ledger": ledger.as_dict(),
    }


def _from_history(
    aws: Aws, names: Names, ledger: Ledger, group: Group, past: int, now: dt.datetime
) -> dict[str, t.Any]:
    """The open release and those before it."""
    s3, bucket = aws.client("s3"), names.bucket(group.account_id)
    record = (history.read(s3, bucket, ledger.sequence) or {}) if ledger.is_open else {}
    return {
        "open": opened(ledger, record, now),
        "steps": steps(ledger, group, record),
        "history": [_timed(row) for row in history.newest(s3, bucket, past)] if past > 0 else [],
    }


def _first_run(parameters: store.Parameters) -> str:
    """What takes a fleet without a ledger over."""
    first = "" if parameters.provisioned else "provision.yml, then "
    return f"{first}deploy.yml: the fleet has no ledger, and the first deploy takes it over as inferred here"


def _lock(lock: Lock | None, now: dt.datetime) -> dict[str, t.Any] | None:
    if lock is None:
        return None
    age = max((now - lock.modified).total_seconds(), 0.0)
    renewed = {"renewed_at": lock.modified.isoformat(), "age_seconds": round(age)}
    return {"owner": lock.owner, "host": lock.host, "epoch": lock.epoch, **renewed}


def _refresh(refresh: Refresh | None) -> dict[str, t.Any] | None:
    if refresh is None:
        return None
    started = refresh.started_at.isoformat() if refresh.started_at else None
    return dataclasses.asdict(refresh) | {"started_at": started}


def _timed(record: Record) -> dict[str, t.Any]:
    """A record of the history with its duration; null while it is open."""
    return {**record, "seconds": seconds_between(record.get("started_at"), record.get("finished_at"))}


def seconds_between(begin: t.Any, end: t.Any) -> int | None:
    """Whole seconds between two ISO times; None where one is missing or was edited."""
    try:
        return round((dt.datetime.fromisoformat(end) - dt.datetime.fromisoformat(begin)).total_seconds())
    except (TypeError, ValueError):
        return None


def opened(ledger: Ledger, record: Record, now: dt.datetime) -> dict[str, t.Any] | None:
    """The release under way; null when nothing is open."""
    if not ledger.is_open:
        return None
    return {
        "sequence": ledger.sequence,
        "kind": record.get("kind") or "release",
        "started_at": ledger.started_at,
        "started_by": ledger.started_by,
        "seconds": seconds_between(ledger.started_at, now.isoformat()),
        "paused": is_paused(ledger),
        "reason": ledger.reason,
    }


def is_paused(ledger: Ledger) -> bool:
    """Whether the open release waits for somebody to promote it."""
    return ledger.is_open and ledger.paused is not None


def steps(ledger: Ledger, group: Group, record: Record) -> list[dict[str, t.Any]]:
    """The steps of the open release: what was planned, what is there, and what the jobs said."""
    if ledger.candidate is None or not record.get("plan"):
        return []
    plan = plan_from_dict(record["plan"])
    verdicts = {row["step"]: row for row in record.get("verdicts", ())}
    serving = group.serving(ledger.candidate.template_version)
    rows, number = [], 0
    for step in plan.steps:
        number += not step.skipped
        verdict = None if step.skipped else verdicts.get(number)
        state = "skipped" if step.skipped else _state(ledger, plan, number)
        actual = (verdict or {}).get("actual", serving if state in ("judging", "paused", "next") else None)
        place = {"number": None if step.skipped else number, "percentage": step.percentage, "state": state}
        rows.append({**place, "planned": step.instances, "actual": actual, "verdict": verdict})
    return rows


def _state(ledger: Ledger, plan: Plan, number: int) -> str:
    if ledger.status is Status.ROLLING_BACK:
        return "passed" if number <= ledger.step else "given up"
    if number <= ledger.step:
        return "passed"
    if number > ledger.step + 1:
        return "to come"
    if is_paused(ledger):
        return "paused"
    return "judging" if ledger.step_reached_at else "next"


def share(ledger: Ledger, group: Group) -> list[dict[str, t.Any]]:
    """Instances by the template version they were launched from, with their share of those in service."""
    known = {
        release.template_version: (release.version, role)
        for role, release in (
            ("previous", ledger.previous),
            ("candidate", ledger.candidate),
            ("stable", ledger.stable),
        )
        if release is not None
    }
    templates = sorted({member.template_version for member in group.members}, key=str)
    return [_row(group, template, *known.get(template, (None, None))) for template in templates]


def _row(group: Group, template: str | None, version: str | None, role: str | None) -> dict[str, t.Any]:
    serving = group.serving(template)
    return {
        "version": version,
        "role": role,
        "template_version": template,
        "in_service": serving,
        "total": sum(member.template_version == template for member in group.members),
        "percentage": round(100 * serving / group.in_service) if group.in_service else 0,
    }


def next_step(ledger: Ledger, lock: Record | None, group: Group) -> str:
    """What somebody who reads this should run now.

    The lock does not say how long it stands: that is a setting of the run. What is old by the default may be held.
    """
    if lock is None:
        return _unattended(ledger, group)
    who = f"{lock['owner']}@{lock['host']}"
    if lock["age_seconds"] <= Timing().lock_expiry:
        return f"nothing: {who} is at work; rollback.yml after that run ends, or stop it first"
    quiet = f"the lock of {who} was last renewed {lock['age_seconds']} s ago: unless that run is still at work"
    return f"{quiet}, {_unattended(ledger, group)}"


def _unattended(ledger: Ledger, group: Group) -> str:
    if ledger.status is Status.ROLLING_BACK:
        return "rollback.yml: going back has begun and nobody works on it"
    if is_paused(ledger):
        return "promote.yml to go on, or rollback.yml to give the release up"
    if ledger.is_open:
        version = ledger.candidate.version if ledger.candidate else ""
        return f"deploy.yml -e version={version} to take the release up, or rollback.yml to give it up"
    if ledger.stable is None:
        return "build.yml, then deploy.yml: nothing was released yet"
    strangers = group.strangers(ledger.stable.template_version)
    if strangers:
        return f"deploy.yml: {strangers} instances do not run {ledger.stable.version}"
    return "nothing: no release is open"
