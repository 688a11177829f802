# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Finished jobs, read from the workers' log lines."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import aws_call, error_code
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.jobs import Job, parse_lines


def read_jobs(
    logs: t.Any, log_group: str, release_id: str, since: dt.datetime, until: dt.datetime | None = None
) -> list[Job]:
    """The jobs that a release finished and the restarts of its workers since then, in order of time."""
    pattern = f'{{ ($.release_id = "{release_id}") && (($.event = "job") || ($.state = "warming")) }}'
    events = _events(logs, log_group, pattern, since, until)
    return parse_lines((event["timestamp"] / 1000, event["message"]) for event in events)


@aws_call("read the job log")
def _events(
    logs: t.Any, log_group: str, pattern: str, since: dt.datetime, until: dt.datetime | None
) -> list[dict[str, t.Any]]:
    end = {"endTime": int(until.timestamp() * 1000)} if until else {}
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=log_group, filterPattern=pattern, startTime=int(since.timestamp() * 1000), **end
    )
    try:
        return [event for page in pages for event in page["events"]]
    except logs.exceptions.ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return []
        raise
