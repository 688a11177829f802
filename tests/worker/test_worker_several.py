# SPDX-License-Identifier: Apache-2.0
"""Several messages in one worker: what becomes of those that wait when it drains, dies or hangs."""

from __future__ import annotations

import os
import shutil
import typing as t
from pathlib import Path

import pytest

from tests.worker.harness import SOURCE, Deployment, StartWorker, Worker, until

_HANGS = """

_step = NoopEngine.step


def _hanging(self, progress):
    if any(one.job.prompt == "hang" and one.left == 1 for one in self._in_work.values()):
        self._never.wait()
    return _step(self, progress)


_begin = NoopEngine.begin


def _hanging_at_once(self, key, job):
    if job.prompt == "hang at once":
        self._never.wait()
    _begin(self, key, job)


NoopEngine.step, NoopEngine.begin = _hanging, _hanging_at_once
"""


@pytest.fixture
def hanging(tmp_path: Path) -> Path:
    """The worker's code with an engine that certain prompts hang, with all that is drawn beside them."""
    source = tmp_path / "src"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    with (source / "api_scheduler/engines/noop.py").open("a") as engine:
        engine.write(_HANGS)
    return source


def request(request_id: str, prompt: str = "a", side: int = 64, **more: t.Any) -> dict[str, t.Any]:
    payload = {"prompt": prompt, "steps": 10, "width": side, "height": side}
    return {"id": request_id, "api": "/sdapi/v1/txt2img", "payload": payload, **more}


def threads(worker: Worker) -> int:
    return len(os.listdir(f"/proc/{worker.process.pid}/task"))


def instance(worker: Worker) -> str:
    return str(worker.imds.items["instance-id"])


def two_sizes(deployment: Deployment) -> None:
    """Two requests that are not drawn together: the second one waits in the worker."""
    deployment.send(request("drawn", side=64))
    deployment.send(request("waits", side=32))


def processor_seconds(worker: Worker) -> float:
    fields = Path(f"/proc/{worker.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_without_its_queue_a_worker_rests(deployment: Deployment, start: StartWorker) -> None:
    worker = start({"SD_TASK_QUEUE": "nowhere", "SD_METRICS_SECONDS": "1"}).until_ready()
    began = processor_seconds(worker)

    def metrics() -> int:
        return len(deployment.cloudwatch.list_metrics(Namespace="SDInference")["Metrics"])

    until(metrics)
    deployment.sqs.create_queue(QueueName="nowhere")
    assert processor_seconds(worker) - began < 0.5


def test_a_flood_of_one_id_does_not_fill_the_worker(deployment: Deployment, start: StartWorker) -> None:
    for _number in range(80):
        deployment.send(request("same"))
    worker = start({"SD_NOOP_MS": "2000"}).until_ready()
    most = 0

    def answered() -> object:
        nonlocal most
        most = max(most, threads(worker))
        return deployment.result("same")

    until(answered)
    assert most < 50
    deployment.settle(worker)
    assert [line["outcome"] for line in worker.events("job")] == ["succeeded"]


def test_of_two_messages_with_one_id_one_is_drawn(deployment: Deployment, start: StartWorker) -> None:
    deployment.send(request("same"))
    deployment.send(request("same"))
    other = deployment.send(request("same", "another body"))
    worker = start({"SD_NOOP_MS": "1000"})
    assert deployment.wait(other)["error"]["type"] == "id_conflict"
    worker.said("duplicate acknowledged")
    deployment.settle(worker)
    assert sorted(line["outcome"] for line in worker.jobs(2)) == ["failed", "succeeded"]


def test_sigterm_hands_back_what_waits_and_finishes_what_is_drawn(deployment: Deployment, start: StartWorker) -> None:
    two_sizes(deployment)
    worker = start({"SD_NOOP_MS": "2500", "SD_VISIBILITY_SECONDS": "300"})
    worker.until_drawing(2)
    assert worker.terminate() == 0
    ends = {name: deployment.result(name) for name in ("drawn", "waits")}
    assert sum(result is not None for result in ends.values()) == 1
    other = start()
    for name in ("drawn", "waits"):  # long before the lease would have ended
        result = deployment.wait(name)
        assert (result["status"], result["attempts"]) == ("succeeded", 1)
        assert result["worker"]["instance_id"] == instance(worker if ends[name] else other)


def test_an_overdue_drain_hands_back_everything(deployment: Deployment, start: StartWorker) -> None:
    two_sizes(deployment)
    slow = {"SD_NOOP_MS": "60000", "SD_VISIBILITY_SECONDS": "300", "SD_DRAIN_SECONDS": "1"}
    worker = start(slow)
    worker.until_drawing(2)
    assert worker.terminate() == 0
    start()
    for name in ("drawn", "waits"):
        result = deployment.wait(name)
        assert (result["status"], result["attempts"]) == ("succeeded", 1)


def test_what_a_killed_worker_held_is_drawn_by_another(deployment: Deployment, start: StartWorker) -> None:
    two_sizes(deployment)
    deployment.send(request("beside"))
    killed = start({"SD_NOOP_MS": "60000", "SD_VISIBILITY_SECONDS": "3"})
    killed.until_drawing(2)
    killed.process.kill()
    start({"SD_VISIBILITY_SECONDS": "3"})
    for name in ("drawn", "waits", "beside"):
        result = deployment.wait(name)
        assert result["status"] == "succeeded"
        assert result["attempts"] <= 2
    deployment.settle()


def test_what_hangs_fails_for_good_and_its_neighbours_do_not(
    deployment: Deployment, start: StartWorker, hanging: Path
) -> None:
    names = ["beside-1", "beside-2", "waits"]
    deployment.send(request("hangs", "hang"))
    deployment.send(request("beside-1"))
    deployment.send(request("beside-2"))
    deployment.send(request("waits", side=32))
    quick = {"SD_HANG_SECONDS": "1", "SD_VISIBILITY_SECONDS": "3", "SD_NOOP_MS": "500", "SD_MAX_ATTEMPTS": "2"}
    workers = 0
    while deployment.result("hangs") is None:
        workers += 1
        assert workers <= 8
        worker = start(quick, hanging)
        until(lambda worker=worker: worker.process.poll() is not None or deployment.left() == 0)
    hung = deployment.wait("hangs")
    assert (hung["status"], hung["error"]["type"], hung["attempts"]) == ("failed", "transient", 2)
    start(quick, hanging)
    assert [deployment.wait(name)["status"] for name in names] == ["succeeded"] * 3
    deployment.settle()
    assert len(deployment.take(deployment.dead)) == 1


def test_what_hangs_the_engine_as_it_is_taken_in_ends_the_worker(
    deployment: Deployment, start: StartWorker, hanging: Path
) -> None:
    worker = start({"SD_HANG_SECONDS": "1", "SD_VISIBILITY_SECONDS": "3"}, hanging).until_ready()
    deployment.send(request("hangs", "hang at once"))
    until(lambda: worker.status()["in_hand"]["drawing"])
    deployment.send(request("waits"))
    assert worker.process.wait(90) == 1
    [line] = worker.jobs(1)
    assert (line["request_id"], line["outcome"], line["attempt"]) == ("hangs", "handed_back", 1)
    start()
    assert deployment.wait("waits")["attempts"] == 1
    assert deployment.wait("hangs")["attempts"] == 2
