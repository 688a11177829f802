# SPDX-License-Identifier: Apache-2.0
"""Cancelling: whoever writes the result first wins, and the other one is told."""

from __future__ import annotations

import hashlib
import json
import typing as t
import uuid

import pytest

from api_scheduler.client import FleetClient, Request
from tests.worker.harness import Deployment, StartWorker, Worker, until
from tests.worker.test_client import client_of, three


def keys(deployment: Deployment, request_id: str) -> list[str]:
    """What lies under a request's id."""
    listed = deployment.s3.list_objects_v2(Bucket=deployment.bucket, Prefix=f"results/{request_id}/")
    return [row["Key"].rsplit("/", 1)[1] for row in listed.get("Contents", ())]


def notices(deployment: Deployment) -> list[tuple[str, str]]:
    """Ids and statuses of the notices so far."""
    bodies = [json.loads(json.loads(row["Body"])["Message"]) for row in deployment.take(deployment.notices)]
    return [(body["id"], body["status"]) for body in bodies]


@pytest.fixture(scope="module")
def fleet(endpoint: str) -> t.Iterator[tuple[FleetClient, Deployment, Worker]]:
    """A client, its deployment and one worker that draws at once."""
    deployment = Deployment(endpoint, "t" + uuid.uuid4().hex[:10])
    worker = Worker(deployment, {}).until_ready()
    yield client_of(deployment), deployment, worker
    worker.close()


Fleet = tuple[FleetClient, Deployment, Worker]


def jobs(worker: Worker, *ids: str) -> list[str]:
    """How the jobs of these requests ended."""
    return [line["error_type"] or line["outcome"] for line in worker.events("job") if line["request_id"] in ids]


def test_a_waiting_request_is_cancelled_at_once_and_never_drawn(deployment: Deployment, start: StartWorker) -> None:
    client = client_of(deployment)
    known, by_id = Request({"prompt": "x", "steps": 1}, context=["mine"]), three()
    client.send_many([known, by_id])
    result = client.cancel(known)
    assert (result.status, result.context, result.worker, result.pictures) == ("cancelled", ["mine"], {}, ())
    assert result.error is not None and (result.error.type, result.error.retryable) == ("cancelled", False)
    assert client.cancel(by_id.id).status == "cancelled"

    worker = start().until_ready()
    deployment.settle(worker)
    assert sorted(notices(deployment)) == sorted([(known.id, "cancelled"), (by_id.id, "cancelled")])
    assert (worker.events("job"), keys(deployment, known.id)) == ([], ["result.json"])
    assert client.result(known.id) == result


def test_an_answer_stands_and_the_client_is_told_which(fleet: Fleet) -> None:
    client, _deployment, _worker = fleet
    request = three()
    first = client.wait(client.send(request), 60)
    assert first is not None and first.succeeded
    assert client.cancel(request) == client.cancel(request.id) == client.result(request.id) == first


def test_a_cancelled_id_stays_cancelled(fleet: Fleet) -> None:
    client, deployment, worker = fleet
    request, by_id = three(), three()
    before = [client.cancel(request), client.cancel(by_id.id)]
    assert client.cancel(request) == before[0]
    client.send_many([request, by_id])
    other = deployment.send({"id": request.id, "api": "/sdapi/v1/txt2img", "payload": {"prompt": "another"}})
    assert deployment.wait(other)["error"]["type"] == "id_conflict"
    deployment.settle(worker)
    assert [client.result(request.id), client.result(by_id.id)] == before
    assert jobs(worker, request.id, by_id.id, other) == ["id_conflict"]


@pytest.mark.parametrize("data", ["oops", "[]", "{}", '{"status": "cancelled"}', '{"id": "x", "status": 7}'])
def test_what_an_application_writes_and_is_no_result_is_replaced(fleet: Fleet, data: str) -> None:
    client, deployment, worker = fleet
    request = three()
    key = f"results/{request.id}/result.json"
    deployment.s3.put_object(Bucket=deployment.bucket, Key=key, Body=data.encode())
    client.send(request)
    deployment.settle(worker)
    result = client.result(request.id)
    assert result is not None and result.succeeded and jobs(worker, request.id) == ["succeeded"]


def test_the_least_cancellation_that_is_documented_holds(fleet: Fleet) -> None:
    client, deployment, worker = fleet
    request = three()
    error = {"type": "cancelled", "message": "not wanted", "retryable": False}
    document = {"schema": 2, "id": request.id, "status": "cancelled", "body_sha256": None, "error": error}
    key = f"results/{request.id}/result.json"
    deployment.s3.put_object(Bucket=deployment.bucket, Key=key, Body=json.dumps(document).encode(), IfNoneMatch="*")
    client.send(request)
    deployment.settle(worker)
    result = client.result(request.id)
    assert result is not None and result.status == "cancelled" and jobs(worker, request.id) == []


def test_a_replay_of_a_cancelled_request_is_not_drawn(fleet: Fleet) -> None:
    client, deployment, worker = fleet
    request = three()
    before = client.cancel(request)
    # As a rollback sends it: its failure was kept for a replay, and the cancellation came before the failed result.
    marks = {"replay_of": "bad", "request_id": request.id}
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in marks.items()}
    deployment.sqs.send_message(QueueUrl=deployment.tasks, MessageBody=request.body, MessageAttributes=attributes)
    worker.said("replay not needed")
    deployment.settle(worker)
    assert (client.result(request.id), jobs(worker, request.id)) == (before, [])


def test_a_failed_result_is_not_cancelled_and_its_replay_goes_on(fleet: Fleet) -> None:
    client, deployment, _worker = fleet
    request = three()
    document = {
        "id": request.id,
        "status": "failed",
        "error": {"type": "transient", "message": "no", "retryable": True},
        "worker": {"release_id": "bad"},
        "body_sha256": hashlib.sha256(request.body.encode()).hexdigest(),
    }
    key = f"results/{request.id}/result.json"
    deployment.s3.put_object(Bucket=deployment.bucket, Key=key, Body=json.dumps(document).encode())
    assert client.cancel(request).status == "failed"
    attributes = {"replay_of": {"DataType": "String", "StringValue": "bad"}}
    deployment.sqs.send_message(QueueUrl=deployment.tasks, MessageBody=request.body, MessageAttributes=attributes)
    until(lambda: (deployment.result(request.id) or {}).get("replayed_from") == "bad")
    assert client.cancel(request).status == "succeeded"


LONG = {"SD_NOOP_MS": "60000", "SD_CANCEL_SECONDS": "0.2", "SD_PROGRESS_SECONDS": "0.2"}
"""A job takes a minute, and is looked after often."""


def told_of(deployment: Deployment) -> int:
    """How many drawings somebody tells of."""
    return int(deployment.s3.list_objects_v2(Bucket=deployment.bucket, Prefix="state/progress/")["KeyCount"])


def test_a_drawing_that_is_answered_meanwhile_is_stopped_between_two_steps(
    deployment: Deployment, start: StartWorker
) -> None:
    client = client_of(deployment)
    request = three(steps=150)
    client.send(request)
    worker = start(LONG).until_ready()
    until(lambda: client.status(request.id).state == "running")
    began = worker.lines[-1]["time"]
    assert client.cancel(request).status == "cancelled"
    stopped = worker.said("drawing stopped: answered meanwhile")[0]
    assert stopped["request_id"] == request.id and 0 < stopped["steps"] < 150 and stopped["time"] >= began
    deployment.settle(worker)
    assert (worker.events("job"), keys(deployment, request.id)) == ([], ["result.json"])
    assert notices(deployment) == [(request.id, "cancelled")]
    assert client.status(request.id).state == "cancelled"
    # The drawing thread is free for the next one, which another worker answers meanwhile.
    following = three(steps=150)
    client.send(following)
    until(lambda: client.status(following.id).state == "running")
    answer = {"id": following.id, "status": "expired", "body_sha256": following.body_sha256, "message_id": "another"}
    key = f"results/{following.id}/result.json"
    deployment.s3.put_object(Bucket=deployment.bucket, Key=key, Body=json.dumps(answer).encode())
    worker.said("duplicate acknowledged")
    deployment.settle(worker)
    assert (client.status(following.id).state, worker.events("job")) == ("expired", [])
    until(lambda: told_of(deployment) == 0)
    assert worker.get("/health")[0] == 200


def test_progress_says_how_far_and_which_attempt(deployment: Deployment, start: StartWorker) -> None:
    client = client_of(deployment)
    request = three(steps=100)
    client.send(request)
    waiting = client.status(request.id)
    assert (waiting.state, waiting.share, waiting.attempt, waiting.result) == ("waiting", None, None, None)
    lost = start({**LONG, "SD_VISIBILITY_SECONDS": "3"})
    until(lambda: client.status(request.id).step or 0)
    first = client.status(request.id)
    assert (first.state, first.steps, first.attempt) == ("running", 100, 1)
    assert first.share == (first.step or 0) / 100 and first.instance_id == lost.imds.items["instance-id"]
    until(lambda: (client.status(request.id).step or 0) > (first.step or 0))
    lost.close()
    # Nobody tells any more: what was told goes stale, until another worker tells of the second attempt.
    until(lambda: client.status(request.id).state == "waiting")
    start(LONG)
    until(lambda: client.status(request.id).attempt == 2)
    client.cancel(request)
    deployment.settle()


def test_a_cancellation_that_comes_between_two_looks_still_stands(deployment: Deployment, start: StartWorker) -> None:
    client = client_of(deployment)
    request = three(steps=20)
    client.send(request)
    worker = start({"SD_NOOP_MS": "5000", "SD_CANCEL_SECONDS": "0", "SD_PROGRESS_SECONDS": "0.2"})
    until(lambda: client.status(request.id).state == "running")
    cancelled = client.cancel(request)
    assert cancelled.status == "cancelled"
    worker.said("cancelled request seen off")
    deployment.settle(worker)
    assert (client.result(request.id), worker.events("job")) == (cancelled, [])
    until(lambda: told_of(deployment) == 0)
    assert notices(deployment) == [(request.id, "cancelled")]
