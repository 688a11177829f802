# SPDX-License-Identifier: Apache-2.0
"""FilterLogEvents and its patterns."""

from __future__ import annotations

import collections.abc
import json
import typing as t

import pytest
from botocore.exceptions import ClientError

from local_aws.clock import VirtualClock
from local_aws.harness import Harness
from local_aws.services.log_patterns import compile_pattern

START = int(VirtualClock().now().timestamp() * 1000)
LINE = json.dumps(
    {
        "event": "job",
        "release_id": "abc123",
        "draw_ms": 12.5,
        "smoke": False,
        "error": None,
        "tags": ["x", "y"],
        "worker": {"instance": "i-1"},
    }
)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("", True),
        ('{ $.event = "job" }', True),
        ('{ $.event = "state" }', False),
        ("{ $.event = job }", True),
        ('{ $.event != "state" }', True),
        ('{ $.nothing != "x" }', False),
        ('{ $.release_id = "abc*" }', True),
        ("{ $.draw_ms > 12 && $.draw_ms <= 12.5 }", True),
        ("{ $.draw_ms > 13 || $.smoke IS FALSE }", True),
        ("{ $.smoke IS TRUE }", False),
        ("{ $.error IS NULL }", True),
        ("{ $.nothing NOT EXISTS }", True),
        ('{ ($.event = "state" || $.event = "job") && $.worker.instance = "i-1" }', True),
        ('{ $.tags[1] = "y" }', True),
        ("{ $.release_id = %abc[0-9]+% }", True),
        ("{ $.draw_ms = 12.5 }", True),
        ('{ $.["event"] = "job" }', False),
        ("job abc123", True),
        ("job missing", False),
        ('"release_id"', True),
        ("?missing ?job", True),
        ("job -abc123", False),
    ],
)
def test_patterns(pattern: str, matches: bool) -> None:
    if pattern == '{ $.["event"] = "job" }':
        with pytest.raises(ValueError, match=r"comparison|cannot read"):
            compile_pattern(pattern)
        return
    assert compile_pattern(pattern)(LINE) is matches


def test_a_line_that_is_no_json_matches_no_json_pattern() -> None:
    assert not compile_pattern('{ $.event != "x" }')("plain text")


@pytest.fixture
def logs() -> collections.abc.Iterator[t.Any]:
    with Harness() as running:
        client = running.client("logs")
        client.create_log_group(logGroupName="g")
        for stream in ("i-1", "i-2"):
            client.create_log_stream(logGroupName="g", logStreamName=stream)
            client.put_log_events(
                logGroupName="g",
                logStreamName=stream,
                logEvents=[
                    {"timestamp": START + n, "message": json.dumps({"event": "job", "n": n, "on": stream})}
                    for n in range(5)
                ],
            )
        yield client


def test_pages_are_in_the_order_of_time_and_complete(logs: t.Any) -> None:
    pages, token = [], {}
    while True:
        reply = logs.filter_log_events(logGroupName="g", filterPattern='{ $.event = "job" }', limit=3, **token)
        pages.append([(json.loads(e["message"])["n"], e["logStreamName"]) for e in reply["events"]])
        if "nextToken" not in reply:
            break
        token = {"nextToken": reply["nextToken"]}
    assert [entry for page in pages for entry in page] == [(n, stream) for n in range(5) for stream in ("i-1", "i-2")]
    assert [len(page) for page in pages] == [3, 3, 3, 1]


def test_the_window_of_time_counts(logs: t.Any) -> None:
    reply = logs.filter_log_events(logGroupName="g", startTime=START + 1, endTime=START + 2, logStreamNames=["i-1"])
    assert [event["timestamp"] for event in reply["events"]] == [START + 1, START + 2]


def test_a_pattern_that_cannot_be_read_is_refused(logs: t.Any) -> None:
    with pytest.raises(ClientError, match="InvalidParameterException"):
        logs.filter_log_events(logGroupName="g", filterPattern="{ $.event ~ 3 }")
