# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Finished jobs, read from the workers' log lines."""

from __future__ import annotations

import datetime as dt
import json
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import aws_call, error_code
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.verdict import Job


def read_jobs(logs: t.Any, log_group: str, release_id: str, since: dt.datetime) -> list[tuple[dt.datetime, Job]]:
    """When and how the jobs of a release finished, since then."""
    pattern = f'{{ ($.event = "job") && ($.release_id = "{release_id}") }}'
    return [parsed for parsed in map(_parse, _events(logs, log_group, pattern, since)) if parsed]


@aws_call("read the job log")
def _events(logs: t.Any, log_group: str, pattern: str, since: dt.datetime) -> list[dict[str, t.Any]]:
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=log_group, filterPattern=pattern, startTime=int(since.timestamp() * 1000)
    )
    try:
        return [event for page in pages for event in page["events"]]
    except logs.exceptions.ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return []
        raise


def _parse(event: t.Mapping[str, t.Any]) -> tuple[dt.datetime, Job] | None:
    """A line that is not a job line, or a damaged one, is passed over: the log is shared."""
    try:
        line = json.loads(event["message"])
        job = Job(
            outcome=str(line["outcome"]),
            error_type=line.get("error_type"),
            draw_ms=float(line.get("draw_ms") or 0),
            steps=int(line.get("steps") or 0),
            pixels=int(line.get("pixels") or 0),
            sequence=int(line.get("sequence") or 0),
            smoke=bool(line.get("smoke")),
        )
    except (ValueError, KeyError, TypeError):
        return None
    return dt.datetime.fromtimestamp(event["timestamp"] / 1000, dt.UTC), job
