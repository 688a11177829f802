# SPDX-License-Identifier: Apache-2.0
"""A sample of `make fuzz-bodies`: whatever a message holds, it ends in a decision, and in a result."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.worker.bodies import many, requests, through_queue
from tests.worker.bodies.judge import judge, watched
from tests.worker.bodies.requests import Body
from tests.worker.bodies.tap import Call, Canary, Own
from tests.worker.harness import Deployment

OWN = Own("d", "bucket", frozenset({"q"}), "arn:topic")


@settings(max_examples=800, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(requests.any_body())
def test_every_body_ends_in_a_decision(body: Body) -> None:
    assert judge(body).problems == []


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(requests.valid())
def test_every_valid_body_is_drawn(body: Body) -> None:
    assert judge(body).problems == []


def test_some_through_the_queue(deployment: Deployment) -> None:
    with Canary() as canary:
        bodies = many.distinct(200, 7, requests.any_body(canary.url))
        outcome = through_queue.send_all(deployment, itertools.islice(filter(through_queue.carried, bodies), 60), 60)
        assert canary.visits == []
    assert outcome.problems == []
    assert outcome.sent == 60
    assert outcome.statuses["succeeded"] > 0 < outcome.statuses["failed invalid_request"]


def test_the_judge_sees_what_is_wrong() -> None:
    drawn = b'{"api": "/sdapi/v1/txt2img", "payload": {"steps": 3}}'
    assert judge(Body("", drawn, "refused")).problems == ["drawn, and must be refused"]
    refused = drawn.replace(b"3", b'"3"')
    assert judge(Body("", refused, "drawn")).problems[0].startswith("refused, and must be drawn: payload.steps: ")
    assert (
        judge(Body("", refused, names="payload.width")).problems[0].startswith("'payload.width' is wrong, and it says")
    )


def test_the_watch_sees_files_and_sockets(tmp_path: Path) -> None:
    with watched() as touched:
        (tmp_path / "file").write_text("x")
        Canary().__enter__().__exit__()
    assert any(event.startswith("open ") for event in touched)
    assert any(event.startswith("socket.") for event in touched)


@pytest.mark.parametrize(
    ("allowed", "method", "path"),
    [
        (True, "GET", "/bucket/results/a/result.json"),
        (True, "PUT", "/bucket/results/a/12.png"),
        (True, "GET", "/bucket/inputs/a/b.png"),
        (True, "PUT", "/bucket/state/failed/r/20260101T000000Z/a/" + "0" * 64),
        (True, "DELETE", "/bucket/state/progress/a.json"),
        (False, "DELETE", "/bucket/state/a.json"),
        (False, "PUT", "/bucket/inputs/a.png"),
        (False, "GET", "/bucket/inputs/../results/a/result.json"),
        (False, "GET", "/bucket/inputs/%2E%2E/x"),
        (False, "PUT", "/bucket/results/a/b/result.json"),
        (False, "PUT", "/bucket/results/%2e%2e/result.json"),
        (False, "GET", "/bucket/results/a/secret"),
        (False, "GET", "/other/results/a/result.json"),
        (False, "DELETE", "/bucket/results/a/result.json"),
        (False, "GET", "/bucket?list-type=2"),
        (False, "PUT", "/bucket/releases/1.json"),
    ],
)
def test_a_worker_has_no_business_outside_its_own_keys(allowed: bool, method: str, path: str) -> None:
    assert OWN.allows(Call("s3", method, path, b"")) is allowed


def test_a_worker_has_no_business_with_other_queues_topics_and_parameters() -> None:
    assert OWN.allows(Call("sqs", "POST", "/", b'{"QueueUrl": "http://h/1/q"}'))
    assert not OWN.allows(Call("sqs", "POST", "/", b'{"QueueUrl": "http://h/1/other"}'))
    assert not OWN.allows(Call("sns", "POST", "/", b"Action=Publish&TopicArn=arn:other"))
    assert not OWN.allows(Call("ssm", "POST", "/", b'{"Name": "/sd-inference/other/lock"}'))
    assert not OWN.allows(Call("iam", "POST", "/", b""))
