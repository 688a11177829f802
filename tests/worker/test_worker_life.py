# SPDX-License-Identifier: Apache-2.0
"""Attempts, leases, drains and crashes, with worker processes that fail as a bad version would."""

from __future__ import annotations

import json
import shutil
import typing as t
from pathlib import Path

import pytest

from tests.worker.harness import SOURCE, Deployment, StartWorker, until

BUGS = """

_step, _colour = NoopEngine.step, _coloured


def _with_bugs(self, progress):
    for one in self._in_work.values():
        if one.job.prompt == "crash":
            import os
            os._exit(139)
        if one.job.prompt == "hang":
            self._never.wait()
    return _step(self, progress)


def _coloured(key, job):
    if job.prompt == "raise":
        return Drawn(key, error=RuntimeError("the new code is wrong"))
    if job.prompt == "memory":
        from api_scheduler.engines.base import OutOfMemory
        return Drawn(key, error=OutOfMemory("the card is full"))
    if job.prompt == "lost":
        from api_scheduler.engines.base import EngineLost
        return Drawn(key, error=EngineLost("CUDA error: device-side assert triggered"))
    if job.prompt == "odd":
        return Drawn(key, [np.zeros((8, 8, 3), dtype=complex)])
    return _colour(key, job)


NoopEngine.step = _with_bugs
"""


@pytest.fixture
def bad_version(tmp_path: Path) -> Path:
    """The worker's code with bugs that certain prompts meet."""
    source = tmp_path / "src"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    with (source / "api_scheduler/engines/noop.py").open("a") as engine:
        engine.write(BUGS)
    return source


def request(request_id: str, prompt: str = "a red three") -> dict[str, t.Any]:
    return {"id": request_id, "api": "/sdapi/v1/txt2img", "payload": {"prompt": prompt, "steps": 10, "seed": 1}}


def state(deployment: Deployment, request_id: str) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", json.loads(deployment.read(f"state/{request_id}.json")))


def notice(deployment: Deployment) -> dict[str, t.Any]:
    body = until(lambda: deployment.take(deployment.notices))[0]["Body"]
    return t.cast("dict[str, t.Any]", json.loads(json.loads(body)["Message"]))


@pytest.mark.parametrize(
    ("prompt", "error_type"), [("raise", "transient"), ("memory", "out_of_memory"), ("odd", "transient")]
)
def test_a_request_that_always_fails_is_answered_after_its_attempts(
    deployment: Deployment,
    start: StartWorker,
    bad_version: Path,
    prompt: str,
    error_type: str,
) -> None:
    worker = start(source=bad_version)
    deployment.send(request("poison", prompt))
    result = deployment.wait("poison")
    assert (result["status"], result["error"]["type"], result["attempts"]) == ("failed", error_type, 3)
    outcomes = [(line["outcome"], line["error_type"], line["attempt"]) for line in worker.jobs(3)]
    assert outcomes == [("handed_back", error_type, 1), ("handed_back", error_type, 2), ("failed", error_type, 3)]
    [dead] = until(lambda: deployment.take(deployment.dead))
    assert json.loads(dead["Body"]) == request("poison", prompt)
    assert dead["MessageAttributes"]["reason"]["StringValue"] == error_type
    assert json.loads(deployment.read("results/poison/request.json")) == request("poison", prompt)
    deployment.settle(worker)
    assert notice(deployment)["error_type"] == error_type
    deployment.send(request("poison", prompt))
    worker.said("duplicate acknowledged")
    assert notice(deployment)["error_type"] == error_type


def test_a_request_whose_workers_die_is_answered_as_worker_lost(
    deployment: Deployment,
    start: StartWorker,
    bad_version: Path,
) -> None:
    neighbours = ["one", "two", "three"]
    for name in ("killer", *neighbours):
        deployment.send(request(name, "crash" if name == "killer" else "a red three"))
    for _unused in range(3):
        assert start({"SD_VISIBILITY_SECONDS": "3"}, bad_version).process.wait(60) == 139
    start({"SD_VISIBILITY_SECONDS": "3"}, bad_version)
    result = deployment.wait("killer")
    assert (result["status"], result["error"]["type"], result["attempts"]) == ("failed", "worker_lost", 3)
    # Those that it takes with it are drawn alone after that, and end well.
    assert {deployment.wait(name)["status"] for name in neighbours} == {"succeeded"}
    assert len(until(lambda: deployment.take(deployment.dead))) == 1


@pytest.mark.parametrize("fresh", [False, True], ids=["another suspect", "a fresh request"])
def test_nothing_is_drawn_while_a_suspect_is_being_answered(
    deployment: Deployment,
    start: StartWorker,
    bad_version: Path,
    fresh: bool,
) -> None:
    # Its pictures take long to encode and to upload: what crashes must not take them with it.
    large = {"width": 1024, "height": 1024, "n_iter": 4}
    innocent, killer = request("innocent"), request("killer", "crash")
    deployment.send({**innocent, "payload": {**innocent["payload"], **large}})
    if not fresh:
        deployment.send(killer)
    taken = deployment.sqs.receive_message(QueueUrl=deployment.tasks, MaxNumberOfMessages=10, VisibilityTimeout=600)[
        "Messages"
    ]
    handles = {json.loads(message["Body"])["id"]: message["ReceiptHandle"] for message in taken}

    def hand_back(request_id: str) -> None:  # as if a worker had taken it and was lost
        deployment.sqs.change_message_visibility(
            QueueUrl=deployment.tasks, ReceiptHandle=handles[request_id], VisibilityTimeout=0
        )

    hand_back("innocent")
    worker = start({"SD_MAX_ATTEMPTS": "2", "SD_NOOP_MS": "1000"}, bad_version)
    worker.until_drawing()
    if fresh:
        deployment.send(killer)
    else:
        hand_back("killer")
    assert worker.process.wait(60) == 139
    result = deployment.result("innocent")
    assert result is not None
    assert (result["status"], result["attempts"]) == ("succeeded", 2)


def test_while_a_release_is_open_one_bad_release_cannot_burn_a_request(
    deployment: Deployment,
    start: StartWorker,
    bad_version: Path,
) -> None:
    deployment.set_status("in-progress")
    bad = start({"SD_MAX_ATTEMPTS": "2"}, bad_version)
    deployment.send(request("saved", "raise"))
    bad.jobs(2)
    bad.said("handed back undrawn")
    assert deployment.result("saved") is None
    assert {line["outcome"] for line in bad.events("job")} == {"handed_back"}
    bad.terminate()
    start({"SD_RELEASE_ID": "release2", "SD_MAX_ATTEMPTS": "2"})
    result = deployment.wait("saved")
    assert (result["status"], result["worker"]["release_id"]) == ("succeeded", "release2")
    assert deployment.left(deployment.dead) == 0


def test_a_request_that_fails_on_two_releases_is_answered(
    deployment: Deployment,
    start: StartWorker,
    bad_version: Path,
) -> None:
    deployment.set_status("in-progress")
    first = start({"SD_MAX_ATTEMPTS": "2"}, bad_version)
    deployment.send(request("poison", "raise"))
    first.jobs(2)
    first.terminate()
    start({"SD_RELEASE_ID": "release2", "SD_MAX_ATTEMPTS": "2"}, bad_version)
    assert deployment.wait("poison")["error"]["type"] == "transient"
    assert {one["release_id"] for one in state(deployment, "poison")["attempts"]} == {"release1", "release2"}


def test_sigterm_lets_the_job_in_hand_finish(deployment: Deployment, start: StartWorker) -> None:
    worker = start({"SD_NOOP_MS": "2000", "SD_MAX_BATCH": "1"}).until_ready()
    deployment.send(request("running"))
    worker.until_drawing()
    deployment.send(request("waiting"))
    assert worker.terminate() == 0
    assert deployment.wait("running", 1)["status"] == "succeeded"
    assert deployment.result("waiting") is None
    assert deployment.left() == 1


def test_a_job_that_cannot_finish_in_time_goes_back_and_that_is_no_attempt(
    deployment: Deployment,
    start: StartWorker,
) -> None:
    worker = start({"SD_NOOP_MS": "60000", "SD_DRAIN_SECONDS": "0.5", "SD_VISIBILITY_SECONDS": "300"}).until_ready()
    deployment.send(request("long"))
    worker.until_drawing()
    assert worker.terminate() == 0
    start()
    result = deployment.wait("long")  # long before its lease would have ended
    assert (result["status"], result["attempts"]) == ("succeeded", 1)
    assert worker.events("job") == []


def test_a_lease_is_extended_as_long_as_the_job_progresses(deployment: Deployment, start: StartWorker) -> None:
    # Waiting for a drawing is no standstill, however long it takes.
    settings = {"SD_NOOP_MS": "8000", "SD_VISIBILITY_SECONDS": "3", "SD_STUCK_SECONDS": "2"}
    workers = [start(settings) for _unused in range(2)]
    deployment.send(request("slow"))
    assert deployment.wait("slow")["attempts"] == 1
    deployment.settle(*workers)
    assert sum("busy" in worker.states() for worker in workers) == 1


def test_a_hung_drawing_is_a_failed_attempt_and_ends_the_worker(
    deployment: Deployment,
    start: StartWorker,
    bad_version: Path,
) -> None:
    hung = start({"SD_HANG_SECONDS": "1", "SD_VISIBILITY_SECONDS": "3"}, bad_version).until_ready()
    assert hung.get("/health")[0] == 200
    deployment.send(request("stuck", "hang"))
    assert hung.process.wait(90) == 1
    [line] = hung.jobs(1)
    assert (line["outcome"], line["error_type"]) == ("handed_back", "transient")
    assert state(deployment, "stuck")["attempts"][0]["message"] == "Hung: the drawing hung, no step in 1 s"
    start()
    result = deployment.wait("stuck")
    assert (result["status"], result["attempts"]) == ("succeeded", 2)


def test_a_lost_card_ends_the_worker_and_costs_one_attempt(
    deployment: Deployment,
    start: StartWorker,
    bad_version: Path,
) -> None:
    lost = start({"SD_MAX_BATCH": "1", "SD_NOOP_MS": "4000"}, bad_version).until_ready()
    deployment.send(request("victim", "lost"))
    lost.until_drawing()
    deployment.send(request("next"))
    assert lost.process.wait(90) == 1
    assert [(line["request_id"], line["error_type"]) for line in lost.events("job")] == [("victim", "transient")]
    assert lost.events("state")[-1]["reason"] == "engine lost"
    start()
    assert [deployment.wait(name)["attempts"] for name in ("victim", "next")] == [2, 1]


def test_a_job_that_hangs_after_its_drawing_goes_to_another_worker(
    deployment: Deployment,
    start: StartWorker,
    bad_version: Path,
) -> None:
    with (bad_version / "api_scheduler/pictures.py").open("a") as encoder:
        encoder.write("\n\ndef encode(picture, text):\n    __import__('threading').Event().wait()\n")
    stuck = start({"SD_STUCK_SECONDS": "2", "SD_VISIBILITY_SECONDS": "3"}, bad_version).until_ready()
    assert stuck.get("/health")[0] == 200
    deployment.send(request("stuck"))
    until(lambda: "busy" in stuck.states())
    other = start({"SD_VISIBILITY_SECONDS": "3"})
    result = deployment.wait("stuck")
    assert (result["status"], result["worker"]["instance_id"]) == ("succeeded", other.imds.items["instance-id"])
    assert stuck.get("/health")[0] == 503
    assert stuck.process.poll() is None


def test_a_background_thread_that_ends_takes_the_worker_with_it(start: StartWorker, bad_version: Path) -> None:
    with (bad_version / "api_scheduler/leases.py").open("a") as leases:
        leases.write("\n\nLeases.extend_due = lambda self: [][0]\n")
    worker = start({"SD_VISIBILITY_SECONDS": "3"}, bad_version)
    assert worker.process.wait(90) == 1
    assert worker.said("thread ended")[0]["thread"] == "leases"
    assert worker.events("state")[-1]["reason"] == "leases thread ended"


def test_a_spot_notice_drains(start: StartWorker) -> None:
    worker = start().until_ready()
    worker.imds.items["spot/instance-action"] = '{"action": "terminate", "time": "2099-01-01T00:00:00Z"}'
    assert worker.process.wait(90) == 0
    assert worker.events("state")[-1]["reason"] == "spot"


def test_a_missing_setting_is_named(start: StartWorker) -> None:
    worker = start({"SD_BUCKET": ""})
    assert worker.process.wait(90) == 2
    until(lambda: b"SD_BUCKET" in worker.errors)
