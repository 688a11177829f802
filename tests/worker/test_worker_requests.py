# SPDX-License-Identifier: Apache-2.0
"""A request through the queue: pictures, result, notice, log line; and every refusal."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import typing as t

import pytest
from PIL import Image

from scripts.rehearsal.admin import set_faults
from tests.worker.harness import Deployment, StartWorker, until


def request(request_id: str | None = None, **payload: t.Any) -> dict[str, t.Any]:
    """A valid request."""
    document: dict[str, t.Any] = {
        "api": "/sdapi/v1/txt2img",
        "payload": {"prompt": "a red three", "steps": 2, "seed": 7, **payload},
    }
    return {**document, "id": request_id} if request_id else document


def test_a_request_leaves_pictures_a_result_a_notice_and_a_log_line(deployment: Deployment, start: StartWorker) -> None:
    worker = start().until_ready()
    body = json.dumps({**request("job-1", width=48, height=32, n_iter=2), "context": {"user": "ü"}})
    deployment.send(body)

    result = deployment.wait("job-1")
    assert result["schema"] == 2
    assert result["status"] == "succeeded"
    assert result["error"] is None
    assert result["context"] == {"user": "ü"}
    assert result["body_sha256"] == hashlib.sha256(body.encode()).hexdigest()
    assert result["attempts"] == 1
    assert result["worker"]["engine"] == "noop"
    assert result["worker"]["release_id"] == "release1"
    assert result["parameters"]["steps"] == 2
    assert [image["seed"] for image in result["images"]] == [7, 8]
    for number, entry in enumerate(result["images"]):
        assert entry["key"] == f"results/job-1/{number}.png"
        png = deployment.read(entry["key"])
        assert hashlib.sha256(png).hexdigest() == entry["sha256"]
        picture = Image.open(io.BytesIO(png))
        assert picture.size == (48, 32)
        assert picture.info["parameters"].startswith("a red three\nSteps: 2, Sampler: Euler, ")
        assert len(picture.getcolors() or []) > 1

    deployment.settle(worker)
    notice = json.loads(json.loads(deployment.take(deployment.notices)[0]["Body"])["Message"])
    assert (notice["id"], notice["status"], notice["key"]) == ("job-1", "succeeded", "results/job-1/result.json")
    line = worker.jobs(1)[0]
    assert (line["request_id"], line["outcome"], line["error_type"], line["attempt"]) == ("job-1", "succeeded", None, 1)
    assert (line["steps"], line["pixels"], line["smoke"], line["sequence"]) == (2, 48 * 32 * 2, False, 1)
    until(lambda: worker.states()[-1] == "ready")
    assert worker.terminate() == 0
    assert worker.states() == ["warming", "ready", "busy", "ready", "draining", "stopped"]


BAD_BODIES = [
    ("not json", "body"),
    ('{"id": "x"', "body"),
    ("[]", "body"),
    ('{"api": NaN}', "body"),
    ('"\\ud800"', "body"),
    ("[" * 5000, "body"),
    ({**request(), "id": "../up"}, "id"),
    ({**request(), "extra": 1}, "extra"),
    ({**request(), "schema": 9}, "schema"),
    ({**request(), "api": "/sdapi/v1/nothing"}, "api"),
    ({**request(), "payload": []}, "payload"),
    ({**request(), "ttl_seconds": "soon"}, "ttl_seconds"),
    (request(steps="many"), "payload.steps"),
    (request(width=65), "payload.width"),
    (request(width=8192), "payload.width"),
    (request(batch_size=1000), "payload.batch_size"),
    (request(sampler_name="Magic"), "payload.sampler_name"),
    (request(sampler_name="DDIM", scheduler="Karras"), "payload.scheduler"),
    (request(enable_hr=True), "payload.enable_hr"),
    (request(nonsense=1), "payload.nonsense"),
    (request(prompt="a <lora:x:1>"), "payload.prompt"),
]


def test_every_bad_body_ends_in_a_result_that_names_the_field(deployment: Deployment, start: StartWorker) -> None:
    sent = [(deployment.send(body), field) for body, field in BAD_BODIES]
    worker = start().until_ready()
    for message_id, field in sent:
        result = deployment.wait(message_id)
        assert (result["status"], result["error"]["type"]) == ("failed", "invalid_request")
        assert result["error"]["message"].startswith(field), result["error"]["message"]
        assert result["error"]["retryable"] is False
    deployment.settle(worker)
    assert deployment.left(deployment.dead) == 0
    assert {line["outcome"] for line in worker.jobs(len(sent))} == {"failed"}
    body = json.dumps(BAD_BODIES[-1][0])
    assert deployment.read(f"results/{sent[-1][0]}/request.json").decode() == body


def test_a_refused_request_keeps_its_own_id_and_context(deployment: Deployment, start: StartWorker) -> None:
    start()
    deployment.send({**request("mine", steps=0), "context": [1]})
    result = deployment.wait("mine")
    assert result["error"]["type"] == "invalid_request"
    assert result["context"] == [1]


def test_a_duplicate_is_acknowledged_and_another_body_is_a_conflict(deployment: Deployment, start: StartWorker) -> None:
    worker = start().until_ready()
    deployment.send(request("twice"))
    first = deployment.wait("twice")
    deployment.send(request("twice"))
    worker.said("duplicate acknowledged")
    conflict = deployment.wait(deployment.send(request("twice", seed=8)))
    assert conflict["error"]["type"] == "id_conflict"
    assert deployment.result("twice") == first
    deployment.settle(worker)
    assert [line["outcome"] for line in worker.jobs(2)] == ["succeeded", "failed"]


def test_seed_minus_one_draws_something_else_for_each_request(deployment: Deployment, start: StartWorker) -> None:
    start()
    for name in ("a", "b"):
        deployment.send(request(name, seed=-1))
    seeds = {deployment.wait(name)["images"][0]["seed"] for name in ("a", "b")}
    assert len(seeds) == 2
    assert min(seeds) >= 0


def test_a_request_that_waited_too_long_is_expired(deployment: Deployment, start: StartWorker) -> None:
    deployment.send({**request("late"), "ttl_seconds": 0.001})
    worker = start()
    assert deployment.wait("late")["status"] == "expired"
    deployment.settle(worker)
    assert worker.events("job") == []


def test_smoke_requests_are_drawn_and_marked(deployment: Deployment, start: StartWorker) -> None:
    smoke = deployment.sqs.create_queue(QueueName=f"sd-smoke-{deployment.name}")["QueueUrl"]
    worker = start().until_ready()
    deployment.send(request("smoke"), smoke)
    deployment.send(request("real"))
    assert deployment.wait("smoke")["status"] == deployment.wait("real")["status"] == "succeeded"
    assert {line["request_id"]: line["smoke"] for line in worker.jobs(2)} == {"smoke": True, "real": False}


@pytest.mark.parametrize("path", ["/health", "/ready", "/status"])
def test_a_ready_worker_answers_its_probes(start: StartWorker, path: str) -> None:
    assert start().until_ready().get(path)[0] == 200


def test_metrics_reach_prometheus_and_cloudwatch(deployment: Deployment, start: StartWorker) -> None:
    worker = start({"SD_METRICS_SECONDS": "0.2"}).until_ready()
    deployment.send(request("measured"))
    worker.jobs(1)
    assert 'sd_jobs_total{error_type="",outcome="succeeded",smoke="false"} 1.0' in worker.get("/metrics")[1]

    def seen() -> bool:
        metrics = deployment.cloudwatch.list_metrics(
            Namespace="SDInference",
            MetricName="DrawMilliseconds",
            Dimensions=[{"Name": "DeploymentId", "Value": deployment.name}],
        )["Metrics"]
        return bool(metrics)

    until(seen)


def test_an_open_release_is_a_metric_of_the_deployment(deployment: Deployment, start: StartWorker) -> None:
    deployment.set_status("in-progress")
    start({"SD_METRICS_SECONDS": "0.2", "SD_STATUS_SECONDS": "0"}).until_ready()
    until(lambda: open_release(deployment) == (1.0, 1.0))
    deployment.set_status("stable")
    until(lambda: open_release(deployment) == (0.0, 1.0))


def open_release(deployment: Deployment) -> tuple[float, float] | None:
    """The least and the most of what was published."""
    now = dt.datetime.now(dt.UTC)
    points = deployment.cloudwatch.get_metric_statistics(
        Namespace="SDInference",
        MetricName="ReleaseOpen",
        Dimensions=[{"Name": "DeploymentId", "Value": deployment.name}],
        StartTime=now - dt.timedelta(hours=1),
        EndTime=now + dt.timedelta(hours=1),
        Period=3600,
        Statistics=["Minimum", "Maximum"],
    )["Datapoints"]
    return (min(row["Minimum"] for row in points), max(row["Maximum"] for row in points)) if points else None


def test_pictures_of_an_attempt_that_was_lost_before_its_result_stay(
    deployment: Deployment, start: StartWorker
) -> None:
    body = json.dumps(request("again"))
    there = {"body-sha256": hashlib.sha256(body.encode()).hexdigest()}
    deployment.s3.put_object(Bucket=deployment.bucket, Key="results/again/0.png", Body=b"drawn before", Metadata=there)
    deployment.send(body)
    start()
    result = deployment.wait("again")
    assert result["images"][0]["sha256"] == hashlib.sha256(b"drawn before").hexdigest()
    assert deployment.read("results/again/0.png") == b"drawn before"


def test_pictures_of_another_body_are_never_overwritten(deployment: Deployment, start: StartWorker) -> None:
    there = {"body-sha256": "0" * 64}
    deployment.s3.put_object(Bucket=deployment.bucket, Key="results/mine/0.png", Body=b"another's", Metadata=there)
    message_id = deployment.send(request("mine"))
    start()
    assert deployment.wait(message_id)["error"]["type"] == "id_conflict"
    assert deployment.read("results/mine/0.png") == b"another's"
    assert deployment.result("mine") is None
    deployment.settle()


def test_a_queue_out_of_order_makes_no_failure_of_a_job_that_was_answered(
    deployment: Deployment, start: StartWorker
) -> None:
    # As often as botocore tries one call.
    fault = {"kind": "error500", "service": "sqs", "operation": "DeleteMessage", "times": 5}
    worker = start().until_ready()
    set_faults(deployment.endpoint, fault)
    deployment.send(request("kept"))
    jobs = worker.jobs(1)
    assert [(job["request_id"], job["outcome"]) for job in jobs] == [("kept", "succeeded")]
    assert deployment.left() == 0


def test_two_workers_and_many_copies_leave_one_result(deployment: Deployment, start: StartWorker) -> None:
    for _unused in range(6):
        deployment.send(request("copy"))
    workers = [start({"SD_NOOP_MS": "300"}) for _unused in range(2)]
    deployment.settle(*workers)
    result = deployment.wait("copy")
    assert result["status"] == "succeeded"
    png = deployment.read("results/copy/0.png")
    assert hashlib.sha256(png).hexdigest() == result["images"][0]["sha256"]
    assert sum(len(worker.events("job")) for worker in workers) == 1
