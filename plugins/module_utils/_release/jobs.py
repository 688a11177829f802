# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Finished jobs, read from the workers' log lines."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws, aws_call, error_code
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.jobs import (
    Job,
    in_order,
    parse_line,
    parse_lines,
)

LATE = 300_000
"""Milliseconds by which a line may arrive later than a younger one and be read still; a fresh run reads it anyway."""


@dataclasses.dataclass
class _Lines:
    """What was read of one release."""

    rows: dict[str, Job] = dataclasses.field(default_factory=dict)
    """By the id of their event."""
    newest: int = 0
    """Time of the newest event when everything before it had been read."""


class JobLog:
    """The jobs of releases, for one run: a page holds 1 MB and calls are few a second, so each line is read once."""

    def __init__(self, aws: Aws, log_group: str) -> None:
        self._aws = aws
        self._log_group = log_group
        self._read: dict[tuple[str, dt.datetime], _Lines] = {}

    def jobs(self, release_id: str, since: dt.datetime, before_page: t.Callable[[], None]) -> list[Job]:
        """The jobs that a release finished and the restarts of its workers since then, in order of time."""
        lines = self._read.setdefault((release_id, since), _Lines())
        start, newest = max(_milliseconds(since), lines.newest - LATE), lines.newest
        window = {"startTime": start}
        for event in _events(self._aws.client("logs"), self._log_group, release_id, window, before_page):
            row = parse_line(event["timestamp"] / 1000, event["message"])
            if row is not None:
                lines.rows[event["eventId"]] = row
            # A host whose clock is ahead must not hide what the others are still to say.
            newest = max(newest, min(event["timestamp"], event.get("ingestionTime", event["timestamp"])))
        lines.newest = newest  # a reading that broke off begins again where it began
        return in_order(lines.rows.values())


def read_jobs(logs: t.Any, log_group: str, release_id: str, since: dt.datetime, until: dt.datetime | None) -> list[Job]:
    """The jobs that a release finished and the restarts of its workers in that time, in order of time."""
    window = {"startTime": _milliseconds(since)} | ({"endTime": _milliseconds(until)} if until else {})
    events = _events(logs, log_group, release_id, window, lambda: None)
    return parse_lines((event["timestamp"] / 1000, event["message"]) for event in events)


def _milliseconds(time: dt.datetime) -> int:
    return int(time.timestamp() * 1000)


def _events(
    logs: t.Any, log_group: str, release_id: str, window: t.Mapping[str, int], before_page: t.Callable[[], None]
) -> t.Iterator[dict[str, t.Any]]:
    pattern = f'{{ ($.release_id = "{release_id}") && (($.event = "job") || ($.state = "warming")) }}'
    asked: dict[str, t.Any] = {"logGroupName": log_group, "filterPattern": pattern, **window}
    while True:
        before_page()
        page = _page(logs, asked)
        yield from page["events"]
        token = page.get("nextToken")
        if not token or token == asked.get("nextToken"):
            return
        asked["nextToken"] = token


@aws_call("read the job log")
def _page(logs: t.Any, asked: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    try:
        page: t.Mapping[str, t.Any] = logs.filter_log_events(**asked)
    except logs.exceptions.ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return {"events": []}
        raise
    return page
