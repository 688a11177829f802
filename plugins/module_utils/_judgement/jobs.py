# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Finished jobs, from the lines that workers log, and what is counted of them. Pure."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import functools
import json
import operator
import statistics
import typing as t

WARM_UP_JOBS = 2
"""The first jobs of an instance are slower (allocators, kernel selection): left out of the latency comparison."""
USER_ERRORS = frozenset({"invalid_request", "id_conflict"})
"""Faults of the request. A share that rises with the release is still held against the release."""
RESTARTED = "restarted"
"""Outcome of a row that is no job: the worker began again on an instance that had begun before."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One finished attempt at a job, or the restart of a worker."""

    outcome: str
    error_type: str | None
    draw_ms: float
    steps: int
    pixels: int
    sequence: int
    smoke: bool = False
    instance: str = ""
    at: float = 0.0
    """When it finished, in seconds since 1970."""

    @property
    def restart(self) -> bool:
        """Whether this is a restart of the worker."""
        return self.outcome == RESTARTED

    @functools.cached_property
    def pace(self) -> float | None:
        """Draw time per unit of work in milliseconds per megapixel-step; None for a cold or failed job."""
        work = self.steps * self.pixels
        if self.outcome != "succeeded" or self.sequence <= WARM_UP_JOBS or not work or self.draw_ms <= 0:
            return None
        return self.draw_ms / work * 1e6


def is_failure(outcome: str, error_type: str | None, smoke: bool) -> bool:
    """Whether the release, not the request, is to blame; a smoke request is known to be good."""
    return outcome in ("failed", "handed_back") and (smoke or error_type not in USER_ERRORS)


def is_refusal(outcome: str, error_type: str | None, smoke: bool) -> bool:
    """Whether the request was found invalid."""
    return error_type in USER_ERRORS and not smoke


@dataclasses.dataclass(frozen=True)
class Summary:
    """The numbers of one side."""

    jobs: int
    failed: int
    refused: int
    invalid_output: int
    out_of_memory: int
    restarts: int
    instances: int
    median_pace: float | None
    """Milliseconds per megapixel-step."""
    paced: int

    @property
    def attempts(self) -> int:
        """Jobs, and those that a restart cut off."""
        return self.jobs + self.restarts

    @property
    def lost(self) -> int:
        """Attempts that came to nothing through the worker's fault."""
        return self.failed + self.restarts


_KIND = operator.attrgetter("outcome", "error_type", "smoke")
_PACE = operator.attrgetter("pace")
_INSTANCE = operator.attrgetter("instance")


def summarize(rows: t.Sequence[Job]) -> Summary:
    """Count one side; kinds first, since rows are many and kinds are few."""
    kinds = collections.Counter(map(_KIND, rows))
    paces = [pace for pace in map(_PACE, rows) if pace is not None]
    restarts = sum(number for (outcome, _error, _smoke), number in kinds.items() if outcome == RESTARTED)
    return Summary(
        jobs=len(rows) - restarts,
        failed=sum(number for kind, number in kinds.items() if is_failure(*kind)),
        refused=sum(number for kind, number in kinds.items() if is_refusal(*kind)),
        invalid_output=sum(number for kind, number in kinds.items() if kind[1] == "invalid_output"),
        out_of_memory=sum(number for kind, number in kinds.items() if kind[1] == "out_of_memory"),
        restarts=restarts,
        instances=len(set(map(_INSTANCE, rows))),
        median_pace=statistics.median(paces) if paces else None,
        paced=len(paces),
    )


def parse_lines(lines: t.Iterable[tuple[float, str | t.Mapping[str, t.Any]]]) -> list[Job]:
    """Jobs and restarts, in order of time, from log lines (text or parsed) with their times.

    A line of another kind, or a damaged one, is passed over: the log is shared.
    """
    return in_order(row for row in (parse_line(at, line) for at, line in lines) if row is not None)


def in_order(rows: t.Iterable[Job]) -> list[Job]:
    """Parsed lines in order of time, with the restarts that they tell of."""
    return with_restarts(sorted(rows, key=lambda row: (row.at, row.instance, row.sequence)))


def with_restarts(rows: t.Sequence[Job]) -> list[Job]:
    """The rows in order, with a restart wherever an instance begins again.

    It begins with a line "warming", or with a job numbered 1 where that line was lost. The first beginning of an
    instance is its boot.
    """
    seen: dict[str, int] = collections.defaultdict(int)
    kept: list[Job] = []
    fresh: set[str] = set()
    for row in rows:
        begins = row.restart or (row.sequence == 1 and row.instance not in fresh)
        if begins and seen[row.instance]:
            kept.append(row if row.restart else dataclasses.replace(row, outcome=RESTARTED, error_type=None))
        seen[row.instance] += 1
        (fresh.add if row.restart else fresh.discard)(row.instance)
        if not row.restart:
            kept.append(row)
    return kept


def parse_line(at: float, line: str | t.Mapping[str, t.Any]) -> Job | None:
    """A line by itself: a job, the beginning of a worker, or None for anything else."""
    try:
        fields = line if isinstance(line, t.Mapping) else json.loads(line)
        at = at or _time(fields)
        instance = str(fields.get("instance_id") or "")
        if fields.get("event") == "state":
            return Job(RESTARTED, None, 0.0, 0, 0, 0, instance=instance, at=at) if _warming(fields) else None
        return Job(
            outcome=str(fields["outcome"]),
            error_type=fields.get("error_type"),
            draw_ms=float(fields.get("draw_ms") or 0),
            steps=int(fields.get("steps") or 0),
            pixels=int(fields.get("pixels") or 0),
            sequence=int(fields.get("sequence") or 0),
            smoke=bool(fields.get("smoke")),
            instance=instance,
            at=at,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _warming(fields: t.Mapping[str, t.Any]) -> bool:
    return fields.get("state") == "warming"


def _time(fields: t.Mapping[str, t.Any]) -> float:
    """The line's own time, where nobody else knows one; 0 keeps the order of the list."""
    return dt.datetime.fromisoformat(fields["time"]).timestamp() if fields.get("time") else 0.0
