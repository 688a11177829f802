# SPDX-License-Identifier: Apache-2.0
"""Replays: a request that a rejected release failed is drawn by another one, and its result is replaced once."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import typing as t
import uuid

import pytest

from tests.worker.harness import ROOT, Deployment, StartWorker, Worker, until

GOOD = {"SD_RELEASE_ID": "good"}
BAD = {"SD_RELEASE_ID": "bad", "SD_MAX_STEPS": "1"}
"""A release that refuses what the other draws."""


def body(request_id: str | None = None, **more: t.Any) -> str:
    """A request that only the good release draws."""
    document = {"api": "/sdapi/v1/txt2img", "payload": {"prompt": "a red three", "steps": 2, "seed": 7}, **more}
    return json.dumps({**document, "id": request_id} if request_id else document)


def kept(deployment: Deployment) -> list[str]:
    """Keys of what the bad release has failed."""
    listed = deployment.s3.list_objects_v2(Bucket=deployment.bucket, Prefix="state/failed/bad/")
    return [row["Key"] for row in listed.get("Contents", ())]


def replay(deployment: Deployment, request_id: str, text: str, **more: str) -> str:
    """Send a request again, as a rollback does; the message id."""
    marks = {"replay_of": "bad", "request_id": request_id, **more}
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in marks.items()}
    answer = deployment.sqs.send_message(QueueUrl=deployment.tasks, MessageBody=text, MessageAttributes=attributes)
    return str(answer["MessageId"])


def replay_all(deployment: Deployment) -> int:
    """Send everything again that the bad release has failed, by the code of a rollback; how many."""
    names = (deployment.endpoint, deployment.name, deployment.bucket, "bad")
    command = [str(ROOT / ".venv/controller/bin/python"), "-m", "tests.support.replay_again", *names]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'build/collections'}:{ROOT}"}
    return int(subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True).stdout)


def failed(deployment: Deployment, request_id: str, text: str, **more: t.Any) -> None:
    """A result that the bad release left."""
    document = {
        "id": request_id,
        "status": "failed",
        "error": {"type": "invalid_request", "message": "wrong", "retryable": False},
        "worker": {"release_id": "bad"},
        "body_sha256": hashlib.sha256(text.encode()).hexdigest(),
        **more,
    }
    key = f"results/{request_id}/result.json"
    deployment.s3.put_object(Bucket=deployment.bucket, Key=key, Body=json.dumps(document).encode())


def notices(deployment: Deployment, count: int) -> list[dict[str, t.Any]]:
    """So many notices, once they are there."""
    found: list[dict[str, t.Any]] = []

    def enough() -> bool:
        found.extend(json.loads(json.loads(row["Body"])["Message"]) for row in deployment.take(deployment.notices))
        return len(found) >= count

    until(enough)
    return found


def outcomes(worker: Worker) -> list[tuple[str, str]]:
    """How the jobs of a worker ended so far."""
    return [(line["outcome"], line["error_type"]) for line in worker.events("job")]


@pytest.fixture(scope="module")
def calm(endpoint: str) -> t.Iterator[tuple[Deployment, Worker]]:
    """A deployment in quiet times with one worker of the good release, for tests that differ in their request only."""
    deployment = Deployment(endpoint, "t" + uuid.uuid4().hex[:10])
    worker = Worker(deployment, GOOD)
    yield deployment, worker
    worker.close()


Calm = tuple[Deployment, Worker]


def replaced(deployment: Deployment, request_id: str) -> dict[str, t.Any]:
    """The result, once a replay has replaced it."""
    until(lambda: (deployment.result(request_id) or {}).get("replayed_from"))
    return deployment.result(request_id) or {}


def test_a_replay_replaces_what_the_bad_release_refused_and_only_once(
    deployment: Deployment, start: StartWorker
) -> None:
    deployment.set_status("in-progress")
    bad = start(BAD)
    nameless = deployment.send(body(context="no id"))
    ids = ["named", nameless, deployment.send("not json")]
    deployment.send(body("named"))
    before = {name: deployment.wait(name) for name in ids}
    assert {row["worker"]["release_id"] for row in before.values()} == {"bad"}
    assert {row["error"]["type"] for row in before.values()} == {"invalid_request"}
    deployment.settle(bad)
    bad.terminate()
    notices(deployment, 3)

    deployment.set_status("rolling-back")
    bodies = {key.split("/")[4]: deployment.read(key).decode() for key in kept(deployment)}
    assert replay_all(deployment) == len(ids)
    assert kept(deployment) == []
    for name, text in bodies.items():  # a run that died had sent them already
        replay(deployment, name, text)
    good = start(GOOD)
    deployment.settle(good)
    after = {name: t.cast("dict[str, t.Any]", deployment.result(name)) for name in ids}
    assert [after[name]["status"] for name in ids] == ["succeeded", "succeeded", "failed"]
    for name in ids:
        assert (after[name]["id"], after[name]["replayed_from"]) == (name, "bad")
        assert after[name]["worker"]["release_id"] == "good"
        assert after[name]["body_sha256"] == before[name]["body_sha256"]
        assert after[name]["sent_at"] == before[name]["sent_at"]
    assert after[nameless]["context"] == "no id"
    assert after[nameless]["images"][0]["key"] == f"results/{nameless}/0.png"
    assert sorted(outcomes(good), key=str) == [("failed", "invalid_request"), ("succeeded", None), ("succeeded", None)]
    again = notices(deployment, 3)
    assert sorted(row["id"] for row in again) == sorted(ids)
    assert {row["replayed_from"] for row in again} == {"bad"}

    for name, text in bodies.items():
        replay(deployment, name, text)
    deployment.settle(good)
    assert {name: deployment.result(name) for name in ids} == after
    assert len(good.events("job")) == 3
    assert deployment.take(deployment.notices) == []


def test_the_release_that_failed_a_request_leaves_the_replay_to_another(
    deployment: Deployment, start: StartWorker
) -> None:
    deployment.set_status("rolling-back")
    failed(deployment, "mine", body("mine"))
    bad = start({**BAD, "SD_MAX_STEPS": "50"})
    replay(deployment, "mine", body("mine"))
    bad.said("handed back undrawn")
    bad.terminate()
    start(GOOD)
    assert until(lambda: (deployment.result("mine") or {}).get("replayed_from")) == "bad"


def test_a_replay_that_does_not_fit_the_result_changes_nothing(calm: Calm) -> None:
    deployment, worker = calm
    failed(deployment, "other-body", body("other-body"))
    failed(deployment, "by-another", body("by-another"), worker={"release_id": "good"})
    failed(deployment, "done", body("done"), status="succeeded", error=None)
    before = {name: deployment.result(name) for name in ("other-body", "by-another", "done")}
    replay(deployment, "other-body", body("other-body", context="changed"))
    replay(deployment, "by-another", body("by-another"))
    replay(deployment, "done", body("done"))
    deployment.settle(worker)
    assert {line["request_id"] for line in worker.said("replay not needed")} >= before.keys()
    assert {name: deployment.result(name) for name in before} == before
    assert not {line["request_id"] for line in worker.events("job")} & before.keys()
    told = [json.loads(json.loads(row["Body"])["Message"])["id"] for row in deployment.take(deployment.notices)]
    assert not before.keys() & set(told)


def test_a_replay_without_a_result_is_a_request_like_any_other(calm: Calm) -> None:
    deployment, _worker = calm
    replay(deployment, "gone", body())
    forged = replay(deployment, "../up", body())
    result = deployment.wait("gone")
    assert (result["status"], result["replayed_from"]) == ("succeeded", None)
    assert deployment.wait(forged)["status"] == "succeeded"


def test_pictures_of_the_rejected_release_are_replaced(calm: Calm) -> None:
    deployment, text = calm[0], body("painted")
    failed(deployment, "painted", text)
    facts = {"body-sha256": hashlib.sha256(text.encode()).hexdigest(), "release-id": "bad"}
    deployment.s3.put_object(Bucket=deployment.bucket, Key="results/painted/0.png", Body=b"bad", Metadata=facts)
    replay(deployment, "painted", text)
    [image] = replaced(deployment, "painted")["images"]
    png = deployment.read("results/painted/0.png")
    assert png != b"bad"
    assert hashlib.sha256(png).hexdigest() == image["sha256"]


def test_a_body_too_large_for_attributes_is_fetched_but_from_nowhere_else(calm: Calm) -> None:
    (deployment, worker), text = calm, body("large")
    failed(deployment, "large", text)
    for key in ("results/large/request.json", "inputs/secret"):
        deployment.s3.put_object(Bucket=deployment.bucket, Key=key, Body=text.encode())
    replay(deployment, "large", "{}", body_at="inputs/secret")
    until(lambda: "large" in {line["request_id"] for line in worker.said("replay not needed")})
    replay(deployment, "large", "{}", body_at="results/large/request.json")
    assert replaced(deployment, "large")["status"] == "succeeded"


def test_a_replay_keeps_the_time_to_live(calm: Calm) -> None:
    deployment, text = calm[0], body("late", ttl_seconds=600)
    failed(deployment, "late", text, sent_at="2026-01-01T00:00:00.000Z")
    replay(deployment, "late", text)
    assert replaced(deployment, "late")["status"] == "expired"


def test_an_id_conflict_that_was_none_is_drawn_and_a_real_one_stays(calm: Calm) -> None:
    deployment, _worker = calm
    failed(deployment, "used", "another body", status="succeeded")
    for name, text in (("real", body("used")), ("wrong", body("free"))):
        failed(deployment, name, text, error={"type": "id_conflict", "message": "", "retryable": False})
        replay(deployment, name, text)
    real, wrong = replaced(deployment, "real"), replaced(deployment, "wrong")
    assert (real["status"], real["error"]["type"]) == ("failed", "id_conflict")
    assert (wrong["status"], wrong["id"]) == ("succeeded", "wrong")


def test_what_the_rejected_release_tried_does_not_make_the_stable_one_give_up(calm: Calm) -> None:
    deployment, text = calm[0], body("tried")
    failed(deployment, "tried", text)
    tried = [{"release_id": "bad", "instance_id": "i-1", "started_at": f"t{number}"} for number in range(9)]
    state = {"schema": 1, "attempts": tried, "hand_backs": {"m": 30}}
    deployment.s3.put_object(Bucket=deployment.bucket, Key="state/tried.json", Body=json.dumps(state).encode())
    replay(deployment, "tried", text)
    result = replaced(deployment, "tried")
    assert (result["status"], result["attempts"]) == ("succeeded", 10)


def test_what_a_crash_left_out_follows(deployment: Deployment, start: StartWorker) -> None:
    text = body("cut-short")
    message_id = deployment.send(text)
    error = {"type": "transient", "message": "bad \x01 news", "retryable": True}
    failed(deployment, "cut-short", text, error=error, message_id=message_id)
    worker = start(GOOD)
    worker.said("answer completed")
    [copy] = until(lambda: deployment.take(deployment.dead))
    marks = {name: value["StringValue"] for name, value in copy["MessageAttributes"].items()}
    assert marks == {"reason": "transient", "message": "bad ? news", "request_id": "cut-short", "replay_of": "bad"}
    assert copy["Body"] == text
    assert deployment.read("results/cut-short/request.json").decode() == text
    assert notices(deployment, 1)[0]["error_type"] == "transient"
    deployment.settle(worker)
    assert worker.events("job") == []

    # Moved back to the task queue by hand, with its attributes, the copy is a replay.
    deployment.sqs.send_message(
        QueueUrl=deployment.tasks, MessageBody=text, MessageAttributes=copy["MessageAttributes"]
    )
    assert replaced(deployment, "cut-short")["status"] == "succeeded"


@pytest.mark.parametrize("status", ["rolling-back", "stable"])
def test_a_worker_on_its_way_out_does_not_have_the_last_word(
    deployment: Deployment, start: StartWorker, status: str
) -> None:
    deployment.set_status(status)
    bad = start({**BAD, "SD_HOOK_POLL_SECONDS": "60"}).until_ready()
    bad.imds.items["autoscaling/target-lifecycle-state"] = "Terminated"
    deployment.send(body("passed-on"))
    bad.said("handed back undrawn")
    assert bad.process.wait(90) == 0
    assert deployment.result("passed-on") is None
    start(GOOD)
    assert deployment.wait("passed-on")["status"] == "succeeded"


def test_a_release_that_cannot_settle_anything_is_seen_to_fail(deployment: Deployment, start: StartWorker) -> None:
    broken = start({"SD_BUCKET": "not-there"})
    deployment.send(body("unlucky"))
    [line, *_more] = broken.jobs(1)
    assert (line["outcome"], line["error_type"]) == ("handed_back", "transient")
