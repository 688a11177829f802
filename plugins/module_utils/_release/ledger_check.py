# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What is wrong with a ledger that somebody edited: the field and its value, before anything is done with it. Pure."""

from __future__ import annotations

import datetime as dt
import typing as t

Record = t.Mapping[str, t.Any]
ROLES = ("stable", "previous", "candidate")
NUMBERS = ("sequence", "epoch", "step", "replayed", "passed_over")
TEXTS = ("refresh_id", "paused", "ending", "started_by", "reason")
NEEDED = ("version", "digest", "release_id")


def problem(
    record: t.Any, known: t.Iterable[str], statuses: t.Sequence[str], release_fields: t.Iterable[str], *, schema: int
) -> str:
    """The first thing that is wrong, or an empty string."""
    if not isinstance(record, dict):
        return "it is not a JSON object"
    found = record.get("schema")
    if isinstance(found, bool) or not isinstance(found, int):
        return f"schema={found!r} is not a whole number"
    if found > schema:
        return f"it has schema {found}; this collection knows up to {schema}: update it"
    unknown = [name for name in record if name not in {*known, "schema"}]
    if unknown:
        return f"{unknown[0]} is not a field of it"
    return (
        _status(record, statuses)
        or _numbers(record)
        or _texts(record)
        or next(filter(None, (_release(role, record.get(role), set(release_fields)) for role in ROLES)), "")
        or _times(record)
        or _open(record)
    )


def _status(record: Record, statuses: t.Sequence[str]) -> str:
    status = record.get("status")
    return "" if status in statuses else f"status={status!r} is none of {', '.join(statuses)}"


def _numbers(record: Record) -> str:
    for name in NUMBERS:
        value = record.get(name, 0)
        if value is None and name == "epoch":
            continue  # the parser reads it as 0
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            return f"{name}={value!r} is not a whole number"
    return ""


def _texts(record: Record) -> str:
    wrong = [name for name in TEXTS if not isinstance(record.get(name), str | None)]
    return f"{wrong[0]}={record[wrong[0]]!r} is neither a text nor null" if wrong else ""


def _release(role: str, release: t.Any, fields: set[str]) -> str:
    if release is None:
        return ""
    if not isinstance(release, dict):
        return f"{role}={release!r} is not a release"
    lacking = [name for name in NEEDED if not isinstance(release.get(name), str)]
    if lacking:
        return f"{role} lacks {', '.join(lacking)}"
    unknown = sorted(release.keys() - fields)
    return f"{role}.{unknown[0]} is not a field of a release" if unknown else ""


def _times(record: Record) -> str:
    for name in ("started_at", "step_reached_at"):
        try:
            zone = dt.datetime.fromisoformat(record[name]).tzinfo if record.get(name) is not None else dt.UTC
        except (TypeError, ValueError):
            zone = None
        if zone is None:
            return f"{name}={record[name]!r} is not a time with a zone"
    return ""


def _open(record: Record) -> str:
    """An open release names what it is about; without that, no run could go on with it."""
    status = record["status"]
    if status == "stable":
        return ""
    wanted = ["started_at"] + (["candidate"] if status == "in-progress" else [])
    missing = [name for name in wanted if not record.get(name)]
    if missing:
        return f"status={status} needs {' and '.join(missing)}"
    candidate = record.get("candidate") or {}
    pinned = status != "in-progress" or candidate.get("template_version")
    return "" if pinned else "candidate has no template_version"
