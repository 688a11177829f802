# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""A judgement by itself, from the job log or from jobs given: what ``release_judgement`` answers."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.jobs import Job, in_order, parse_line
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.settings import LIMITS_SPEC, make_limits
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.verdict import judge
from ansible_collections.diffusion.fleet.plugins.module_utils._release.jobs import read_jobs
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names, check_deployment_id

ARGUMENT_SPEC: dict[str, t.Any] = {
    "deployment_id": {"type": "str"},
    "log_group": {"type": "str"},
    "candidate": {"type": "str"},
    "stable": {"type": "str"},
    "start": {"type": "str"},
    "end": {"type": "str"},
    "candidate_jobs": {"type": "list", "elements": "dict"},
    "stable_jobs": {"type": "list", "elements": "dict"},
    "limits": LIMITS_SPEC,
}


def read_judgement(aws: Aws, params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The verdict and its numbers.

    Raises: InvalidInput, and the errors of the calls.
    """
    limits = make_limits(params["limits"])
    sides = {side: _jobs(aws, params, side) for side in ("candidate", "stable")}
    return judge(sides["candidate"], sides["stable"], limits).as_dict()


def _jobs(aws: Aws, params: t.Mapping[str, t.Any], side: str) -> list[Job]:
    given, release_id = params[f"{side}_jobs"], params[side]
    if given is not None:
        return _given_jobs(f"{side}_jobs", given)
    if release_id is None:
        return []
    start, end = (_time(name, params[name]) for name in ("start", "end"))
    if start is None:
        raise InvalidInput(f"{side}={release_id} needs start, the time from which its jobs are read.")
    return read_jobs(aws.client("logs"), _log_group(params), release_id, start, end)


def _given_jobs(name: str, lines: t.Sequence[t.Mapping[str, t.Any]]) -> list[Job]:
    """Jobs of a list: a damaged entry is an error here, since somebody wrote it down."""
    rows = []
    for number, line in enumerate(lines):
        row = parse_line(0.0, line)
        if row is None:
            raise InvalidInput(f"{name}[{number}] is no job line: it needs outcome, and numbers in the other fields.")
        rows.append(row)
    return in_order(rows)


def _log_group(params: t.Mapping[str, t.Any]) -> str:
    if params["log_group"]:
        return str(params["log_group"])
    if not params["deployment_id"]:
        raise InvalidInput("deployment_id or log_group is needed to read the jobs of a release.")
    return Names(check_deployment_id(params["deployment_id"])).log_group


def _time(name: str, text: str | None) -> dt.datetime | None:
    if not text:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{name}={text!r} is no ISO 8601 time, like 2026-01-31T12:00:00+00:00.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
