# SPDX-License-Identifier: Apache-2.0
"""FleetClient against real queues, a real bucket and real workers: what an application relies on."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import typing as t
import urllib.error
import urllib.request
import uuid

import boto3
import pytest
from PIL import Image

from api_scheduler.client import (
    BadRequest,
    CallFailed,
    FleetClient,
    NoSuccess,
    NotSent,
    NotThere,
    OtherContent,
    Request,
    Result,
    Unreadable,
)
from api_scheduler.client.requests import batches
from api_scheduler.client.results import read_result
from api_scheduler.client.waiting import arrivals, next_pause
from api_scheduler.clock import SystemClock
from scripts.rehearsal.admin import set_faults
from tests.worker.harness import SOURCE, Deployment, Worker, until

SESSION = boto3.Session("test", "test", region_name="us-east-1")


def client_of(deployment: Deployment, **more: t.Any) -> FleetClient:
    """An application's client of this deployment."""
    names = {"endpoint_url": deployment.endpoint, "bucket": deployment.bucket}
    return FleetClient(deployment.name, SESSION, **{**names, **more})


def three(**payload: t.Any) -> Request:
    """A request that the noop engine draws at once."""
    return Request.txt2img("a red three", **{"steps": 2, "seed": 7, **payload})


@pytest.fixture(scope="module")
def fleet(endpoint: str) -> t.Iterator[tuple[FleetClient, Deployment, Worker]]:
    """A client, its deployment and one worker."""
    deployment = Deployment(endpoint, "t" + uuid.uuid4().hex[:10])
    worker = Worker(deployment, {})
    yield client_of(deployment), deployment, worker
    worker.close()


Fleet = tuple[FleetClient, Deployment, Worker]


def test_many_are_sent_in_batches_and_their_results_come_as_they_are_drawn(fleet: Fleet) -> None:
    client, _deployment, _worker = fleet
    requests = [Request({"prompt": f"digit {number}", "steps": 1}, context={"number": number}) for number in range(23)]
    assert client.send_many([*requests, requests[0]]) == [request.id for request in requests]
    results = {result.id: result for result in client.iterate([request.id for request in requests], 60)}
    assert {request.id: request.context for request in requests} == {key: one.context for key, one in results.items()}
    assert all(result.required().attempts == 1 and result.sent_at for result in results.values())


def test_a_trace_goes_to_result_notice_and_job_line(fleet: Fleet) -> None:
    client, deployment, worker = fleet
    deployment.settle(worker)
    deployment.sqs.purge_queue(QueueUrl=deployment.notices)
    root = "1-67891233-abcdef012345678912345678"
    ids = [client.send(three(), trace=f"Root={root};Parent=53995c3f42cd8ad8;Sampled=1"), client.send(three())]
    expected = dict(zip(ids, (root, None), strict=True))
    assert {key: one.trace_id for key, one in client.wait_many(ids, 60).items()} == expected
    deployment.settle(worker)
    lines = until(
        lambda: len(found := [line for line in worker.events("job") if line["request_id"] in ids]) == 2 and found
    )
    assert {line["request_id"]: line["trace_id"] for line in lines} == expected
    notices = [json.loads(json.loads(row["Body"])["Message"]) for row in deployment.take(deployment.notices)]
    assert {notice["id"]: notice["trace_id"] for notice in notices} == expected


def test_pictures_are_fetched_and_checked_and_anybody_may_read_under_an_address(fleet: Fleet) -> None:
    client, deployment, _worker = fleet
    result = client.wait(client.send(three(width=48, height=32, n_iter=2)), 60)
    assert result is not None and result.succeeded and result.worker["engine"] == "noop"
    assert [(picture.seed, picture.width, picture.height) for picture in result.pictures] == [(7, 48, 32), (8, 48, 32)]
    fetched = client.fetch(result)
    assert [Image.open(io.BytesIO(data)).size for data in fetched] == [(48, 32), (48, 32)]
    for address, data in zip(client.addresses(result, 60), fetched, strict=True):
        assert "X-Amz-Signature" in address and "X-Amz-Expires=60" in address
        with urllib.request.urlopen(address, timeout=60) as answer:
            assert answer.read() == data
    deployment.s3.put_object(Bucket=deployment.bucket, Key=result.pictures[0].key, Body=b"another picture")
    with pytest.raises(OtherContent, match=r"0\.png"):
        client.fetch(result)
    deployment.s3.delete_object(Bucket=deployment.bucket, Key=result.pictures[1].key)
    with pytest.raises(NotThere, match=r"1\.png"):
        client.fetch_picture(result.pictures[1])


def test_a_picture_may_be_begun_with_another(fleet: Fleet) -> None:
    client, _deployment, _worker = fleet
    first = client.wait(client.send(three(width=64, height=64)), 60)
    assert first is not None
    request = Request.img2img(client.fetch(first), "a blue eight", steps=4, denoising_strength=0.5)
    result = client.wait(client.send(request), 60)
    assert result is not None and result.required().parameters is not None
    assert result.parameters is not None and result.parameters["denoising_strength"] == 0.5


def test_sent_again_after_a_lost_reply_it_is_drawn_once(fleet: Fleet) -> None:
    client, deployment, worker = fleet
    request = three()
    set_faults(
        deployment.endpoint, {"kind": "lost_reply", "service": "sqs", "operation": "SendMessageBatch", "times": 1}
    )
    try:
        client.send(request)
    finally:
        set_faults(deployment.endpoint)
    first = client.wait(client.send(request), 60)
    deployment.settle(worker)
    assert client.result(request.id) == first
    assert sum(line["request_id"] == request.id for line in worker.events("job")) == 1


def test_a_failure_says_why_and_its_kept_body_can_be_sent_under_a_new_id(fleet: Fleet) -> None:
    client, deployment, _worker = fleet
    bad = three(width=65)
    client.send(bad)
    result = client.wait(bad.id, 60)
    assert result is not None and result.error is not None and not result.error.retryable
    with pytest.raises(NoSuccess, match=r"payload\.width") as refused:
        result.required()
    assert (refused.value.status, refused.value.error_type) == ("failed", "invalid_request")
    deployment.settle()
    assert Request.read(deployment.read(f"results/{bad.id}/request.json").decode()) == bad


def test_the_time_is_up_with_what_is_known_by_then(fleet: Fleet) -> None:
    client, _deployment, _worker = fleet
    there = client.send(three())
    assert client.wait(there, 60) is not None
    assert list(client.wait_many([there, "never-sent"], 0.3)) == [there]
    assert client.wait("never-sent", 0) is None


def test_a_forbidden_bucket_is_an_error_at_once(fleet: Fleet) -> None:
    client, deployment, _worker = fleet
    set_faults(deployment.endpoint, {"kind": "denied", "service": "s3", "operation": "GetObject"})
    try:
        with pytest.raises(CallFailed, match=r"s3:ListBucket") as refused:
            client.wait("anything", 60)
    finally:
        set_faults(deployment.endpoint)
    assert refused.value.code == "AccessDenied"


def test_a_look_that_fails_is_repeated_and_is_an_error_only_when_it_is_the_last() -> None:
    class Clock(SystemClock):
        at = 0.0

        def monotonic(self) -> float:
            return self.at

        def wait(self, event: threading.Event, seconds: float) -> bool:
            self.at += seconds
            return False

    def look(request_id: str) -> Result | None:
        if clock.at < 10:
            raise CallFailed("slow down", "SlowDown")
        return read_result(json.dumps({"id": request_id, "status": "expired"}))

    clock = Clock()
    with pytest.raises(CallFailed, match="slow down"):
        list(arrivals(look, ["a"], 3.0, clock))
    assert clock.at == pytest.approx(3.0)
    assert [result.id for result in arrivals(look, ["a", "b", "a"], 30.0, clock)] == ["a", "b"]
    assert 10 <= clock.at < 20


def test_what_was_not_sent_is_named(fleet: Fleet) -> None:
    client, deployment, _worker = fleet
    requests = [three(), three()]
    set_faults(deployment.endpoint, {"kind": "denied", "service": "sqs", "operation": "SendMessageBatch"})
    try:
        with pytest.raises(NotSent) as lost:
            client.send_many(requests)
    finally:
        set_faults(deployment.endpoint)
    assert (lost.value.sent, list(lost.value.refused)) == ((), [request.id for request in requests])
    with pytest.raises(NotThere, match="sd-task-queue-nobody"):
        FleetClient("nobody", SESSION, endpoint_url=deployment.endpoint).send(three())


@pytest.mark.parametrize("data", ["not json", "[]", '{"schema": 99, "id": "x"}', '{"schema": 1, "status": "failed"}'])
def test_what_is_no_result_is_said_to_be_none(fleet: Fleet, data: str) -> None:
    client, deployment, _worker = fleet
    deployment.s3.put_object(Bucket=deployment.bucket, Key="results/odd/result.json", Body=data.encode())
    with pytest.raises(Unreadable):
        client.result("odd")


def test_a_result_of_the_schema_before_is_read(fleet: Fleet) -> None:
    client, deployment, _worker = fleet
    document = {"id": "old", "status": "succeeded", "images": []}
    deployment.s3.put_object(
        Bucket=deployment.bucket, Key="results/old/result.json", Body=json.dumps(document).encode()
    )
    result = client.result("old")
    assert result is not None and result.succeeded and (result.worker, result.trace_id) == ({}, None)


def test_the_bucket_follows_from_the_account(fleet: Fleet) -> None:
    _client, deployment, _worker = fleet
    assert client_of(deployment, bucket=None).bucket == f"sd-images-{deployment.name}-123456789012"


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Request({}, id="../up"), "id"),
        (lambda: three(cfg_scale=float("nan")), "JSON"),
        (lambda: three(seed=object()), "JSON"),
        (lambda: three(init_images=["x" * 1024 * 1024]), "inputs/"),
        (lambda: three(prompt2="\ud800"), "JSON"),
        (lambda: batches([Request({"seed": 1}, id="same"), Request({"seed": 2}, id="same")]), "same"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_it_is_sent(make: t.Callable[[], t.Any], named: str) -> None:
    with pytest.raises(BadRequest, match=named):
        make()


def test_a_body_that_is_no_request_is_said_to_be_none() -> None:
    for body in ("not json", "[]", '{"payload": {}, "schema": 7}', "{}"):
        with pytest.raises(Unreadable):
            Request.read(body)


def test_batches_hold_ten_and_a_megabyte() -> None:
    assert [len(group) for group in batches(three() for _number in range(21))] == [10, 10, 1]
    large = [three(init_images=["x" * 400_000]) for _number in range(5)]
    assert [len(group) for group in batches(large)] == [2, 2, 1]


def test_looks_grow_rarer_until_something_comes() -> None:
    pauses = [0.0]
    for _number in range(12):
        pauses.append(next_pause(pauses[-1], news=False))
    assert pauses[1] == 0.2 and pauses == sorted(pauses) and pauses[-1] == 5.0
    assert next_pause(5.0, news=True) == 0.2


def test_the_client_needs_nothing_of_what_a_worker_needs() -> None:
    heavy = ("torch", "diffusers", "transformers", "numpy", "PIL", "prometheus_client")
    code = f"import sys, api_scheduler.client; print([name for name in {heavy} if name in sys.modules])"
    environment = {"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"]}
    outcome = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (outcome.stdout, outcome.stderr) == ("[]\n", "")


def test_several_threads_may_share_a_client(fleet: Fleet) -> None:
    client, _deployment, _worker = fleet
    results: list[t.Any] = []
    threads = [
        threading.Thread(target=lambda: results.append(client.wait(client.send(three()), 60))) for _n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [result.status for result in results] == ["succeeded"] * 4
