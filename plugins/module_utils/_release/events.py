# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Release events in the shape of EventBridge's, published to the deployment's topic.

Each belongs to one transition of one release and bears an id that follows from both, so that whoever listens can drop
a repeat: a run that takes over from one that died tells the last transition again.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import typing as t
import uuid

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import aws_call
from ansible_collections.diffusion.fleet.plugins.module_utils._release.advance import reached_steps
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import (
    Ledger,
    Status,
    release_fields,
    returned,
    succeeded,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import (
    Action,
    Kind,
    Observation,
)

SOURCE = "diffusion.fleet"
SCHEMA = 1
SUBJECT_LENGTH = 100
"""Characters of a subject (SNS Publish API reference)."""


@dataclasses.dataclass(frozen=True)
class Event:
    """A transition of a release, as far as the engine knows it."""

    name: str
    """What happened: the detail type is "Release " and this."""
    sequence: int
    mark: str = ""
    """Tells apart the transitions of one name within a release."""
    detail: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)


def of_action(seen: Observation, action: Action) -> list[Event]:
    """The events of an action that has just been carried out; none for most."""
    step = _step(seen, action.step) if action.step else {}
    why = action.pause or action.reason or None
    detail = {"line": action.line, "reason": why, **step, **_releases(seen, action.kind)}
    sequence = seen.ledger.sequence + (action.kind in OPENING)
    return [Event(name, sequence, mark, detail) for name, mark in _names(action)]


def _names(action: Action) -> list[tuple[str, str]]:
    """(name, mark) of the events of an action."""
    step = str(action.step)
    names = [(NAMES[action.kind], step if action.kind in STEPS else "")] if action.kind in NAMES else []
    early = action.kind is Kind.PASS_STEP and action.by_hand and not action.pause
    return [*names, (NAMES[Kind.RESUME], step)] if early else names


def _releases(seen: Observation, kind: Kind) -> dict[str, t.Any]:
    """Where the action changed the roles: the release in question, and what is stable and previous now."""
    ledger = seen.ledger
    target = seen.target.release if seen.target else None
    if kind is Kind.BEGIN:
        return {"candidate": release_fields(target)}
    if kind is Kind.LEAVE:
        return {
            "candidate": release_fields(ledger.stable),
            "stable": release_fields(target),
            "previous": release_fields(seen.before),
        }
    if kind is Kind.SUCCEED:
        ended = succeeded(ledger, at=seen.now.isoformat())
        return {"stable": release_fields(ended.stable), "previous": release_fields(ended.previous)}
    return {"previous": release_fields(returned(ledger).previous)} if kind is Kind.RETURN else {}


def of_takeover(seen: Observation) -> list[Event]:
    """What the run that takes an open release over says: what its predecessor may not have come to say, and itself."""
    detail = {"epoch": seen.held_epoch, "goal": seen.options.goal.value, "from": seen.context.taken_from}
    return [_last_transition(seen, seen.ledger), Event("Adopted", seen.ledger.sequence, str(seen.held_epoch), detail)]


def of_record(record: t.Mapping[str, t.Any]) -> list[Event]:
    """The end of a release, from its history: the run that recorded it may have died before it said so."""
    name = {"succeeded": NAMES[Kind.SUCCEED], "rolled_back": NAMES[Kind.RETURN]}.get(str(record.get("outcome")))
    if name is None:
        return []
    detail = {"reason": record.get("reason"), "candidate": record.get("candidate")}
    return [Event(name, int(record["sequence"]), "", detail)]


def _last_transition(seen: Observation, ledger: Ledger) -> Event:
    """What the ledger was last written for. Its step is counted again; the id does not depend on anything else."""
    if ledger.status is Status.ROLLING_BACK:
        return Event(NAMES[Kind.RETREAT], ledger.sequence, "", {"reason": ledger.reason})
    if ledger.step_reached_at is not None:
        number, kind = max(reached_steps(seen), ledger.step + 1), Kind.REACH_STEP
    elif ledger.step:
        number, kind = ledger.step, Kind.PASS_STEP
    else:
        return Event(NAMES[Kind.BEGIN], ledger.sequence)
    name = NAMES[kind if ledger.paused is None else Kind.REST]
    return Event(name, ledger.sequence, str(number), _step(seen, number))


def _step(seen: Observation, number: int) -> dict[str, t.Any]:
    candidate, plan = seen.ledger.candidate, seen.plan
    if plan is None or not 1 <= number <= len(plan.judged):
        return {"step": {"number": number}}
    planned = plan.judged[number - 1]
    step = {
        "number": number,
        "of": len(plan.judged),
        "percentage": planned.percentage,
        "planned": planned.instances,
        "actual": seen.group.serving(candidate.template_version if candidate else None),
        "in_service": seen.group.in_service,
    }
    return {"step": step, **({"verdict": seen.verdict.as_dict()} if seen.verdict is not None else {})}


def document(names: Names, seen: Observation, event: Event) -> dict[str, t.Any]:
    """The event with the fields of EventBridge's (EventBridge user guide, event structure reference)."""
    group, ledger = seen.group, seen.ledger
    identity = f"{group.arn}/{event.sequence}/{event.name}/{event.mark}"
    return {
        "version": "0",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, identity)),
        "detail-type": f"Release {event.name}",
        "source": SOURCE,
        "account": group.account_id,
        "time": seen.now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": group.region,
        "resources": [group.arn],
        "detail": {
            "schema": SCHEMA,
            "deployment_id": names.deployment_id,
            "sequence": event.sequence,
            "by": seen.options.by,
            "candidate": release_fields(ledger.candidate),
            "stable": release_fields(ledger.stable),
            "previous": release_fields(ledger.previous),
            **event.detail,
        },
    }


def publish(sns: t.Any, names: Names, seen: Observation, event: Event) -> None:
    """Publish one event; the attribute is for subscriptions that filter.

    Raises: FleetError, which must not stop a release.
    """
    group, whole = seen.group, document(names, seen, event)
    version = (whole["detail"]["candidate"] or whole["detail"]["stable"] or {}).get("version", "")
    subject = f"{names.deployment_id}: {whole['detail-type']} {version}".strip()
    _publish(
        sns,
        TopicArn=names.releases_topic(group.region, group.account_id, group.partition),
        Subject=subject.encode("ascii", "replace").decode()[:SUBJECT_LENGTH],
        Message=json.dumps(whole, sort_keys=True),
        MessageAttributes={"detail-type": {"DataType": "String", "StringValue": whole["detail-type"]}},
    )


@aws_call("publish the release event")
def _publish(sns: t.Any, **request: t.Any) -> None:
    sns.publish(**request)


NAMES: dict[Kind, str] = {
    Kind.BEGIN: "Started",
    Kind.REACH_STEP: "Step Reached",
    Kind.PASS_STEP: "Step Passed",
    Kind.REST: "Paused",
    Kind.RESUME: "Promoted",
    Kind.RETREAT: "Rolling Back",
    Kind.LEAVE: "Rolling Back",
    Kind.SUCCEED: "Succeeded",
    Kind.RETURN: "Rolled Back",
}
OPENING = frozenset({Kind.BEGIN, Kind.LEAVE})
"""Actions that open a new sequence."""
STEPS = frozenset({Kind.REACH_STEP, Kind.PASS_STEP, Kind.REST, Kind.RESUME})
