# SPDX-License-Identifier: Apache-2.0
"""FilterLogEvents with real patterns, in the order of time, in pages that stay right while lines arrive."""

from __future__ import annotations

import typing as t

from local_aws import store
from local_aws.services.log_patterns import PatternError, compile_pattern

_PAGE = 10000


def install() -> None:
    """Replace moto's filter, which takes every JSON pattern for a match, and its clock."""
    from moto.logs import models

    setattr(models, "utcnow", store.world_utcnow)
    setattr(models.LogGroup, "filter_log_events", filter_log_events)


def filter_log_events(
    group: t.Any,
    log_group_name: str,
    log_stream_names: list[str],
    start_time: int | None,
    end_time: int | None,
    limit: int | None,
    next_token: str | None,
    filter_pattern: str | None,
    interleaved: bool,
) -> tuple[list[dict[str, t.Any]], str | None, list[dict[str, t.Any]]]:
    """One page of the events that match; ``start_time`` is inclusive, ``end_time`` too, as CloudWatch Logs has them."""
    streams = [
        stream for name, stream in list(group.streams.items()) if not log_stream_names or name in log_stream_names
    ]
    matches = _compile(filter_pattern)
    after = _position(next_token)
    found = sorted(
        (position(event), stream.log_stream_name, event)
        for stream in streams
        for event in list(stream.events)
        if in_window(event, start_time, end_time) and position(event) > after and matches(event.message)
    )
    size = int(limit or _PAGE)
    page = [{**event.to_filter_dict(), "logStreamName": name} for _unused, name, event in found[:size]]
    token = "{}:{}".format(*found[size - 1][0]) if len(found) > size else None
    return page, token, [{"logStreamName": stream.log_stream_name, "searchedCompletely": True} for stream in streams]


def position(event: t.Any) -> tuple[int, int]:
    """Where an event stands in the order of pages; ids are numbers and unique."""
    return int(event.timestamp), int(event.event_id)


def in_window(event: t.Any, start: int | None, end: int | None) -> bool:
    """Whether the event's time lies in the window asked for."""
    return (start is None or event.timestamp >= start) and (end is None or event.timestamp <= end)


def _position(token: str | None) -> tuple[int, int]:
    if not token:
        return (-1, -1)
    try:
        timestamp, identity = token.split(":")
        return int(timestamp), int(identity)
    except ValueError:
        raise _invalid("The specified nextToken is invalid.") from None


def _compile(pattern: str | None) -> t.Callable[[str], bool]:
    try:
        return compile_pattern(pattern or "")
    except PatternError as problem:
        raise _invalid(f"Invalid filter pattern: {problem}") from None


def _invalid(message: str) -> Exception:
    from moto.logs.exceptions import InvalidParameterException

    error: Exception = InvalidParameterException(message)
    return error
