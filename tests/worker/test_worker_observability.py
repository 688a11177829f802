# SPDX-License-Identifier: Apache-2.0
"""What a worker tells of itself, after a run with jobs of every kind: metrics as documented, no prompt, no secret."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
import re
import shutil
import typing as t
import uuid

import pytest
from PIL import Image

from tests.worker.harness import ROOT, SOURCE, Deployment, Worker

MARK = "zebra-crossing"
"""In every prompt of the run, and nowhere else."""
BUGS = """

_colour = _coloured


def _coloured(key, job):
    import logging
    import warnings
    logging.getLogger("diffusers.pipeline").warning("cut off: %s", job.prompt)
    logging.getLogger("botocore.parsers").warning("an odd reply")
    warnings.warn(f"an odd number in {job.prompt}")
    if job.prompt.startswith("raise"):
        return Drawn(key, error=RuntimeError(f"the new code does not know {job.prompt}"))
    if job.prompt.startswith("memory"):
        from api_scheduler.engines.base import OutOfMemory
        return Drawn(key, error=OutOfMemory("the card is full"))
    return _colour(key, job)
"""
OUTCOMES = {"good": "succeeded", "fails": "failed", "memory": "failed", "refused": "failed", "late": "expired"}


@dataclasses.dataclass
class Run:
    """A worker that has had its jobs, and ended."""

    deployment: Deployment
    worker: Worker
    page: str


def request(request_id: str, prompt: str, **more: t.Any) -> dict[str, t.Any]:
    payload = {"prompt": f"{prompt} {MARK}", "negative_prompt": f"no {MARK}", "steps": 2, "seed": 1}
    return {"id": request_id, "api": "/sdapi/v1/txt2img", "payload": {**payload, **more}}


def every_kind() -> list[t.Any]:
    return [
        {**request("good", "a red three"), "context": {"customer": "c-17"}},
        request("fails", "raise"),
        request("memory", "memory"),
        request("refused", "a blue four", width=13),
        {**request("late", "a green five"), "ttl_seconds": 0.001},
        {**request("typed", "x"), "payload": {"prompt": [MARK]}},
        f'{{"prompt": "{MARK}"',
    ]


@pytest.fixture(scope="module")
def run(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Run]:
    source = tmp_path_factory.mktemp("bad") / "src"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    with (source / "api_scheduler/engines/noop.py").open("a") as engine:
        engine.write(BUGS)
    deployment = Deployment(endpoint, "t" + uuid.uuid4().hex[:10])
    bodies = every_kind()
    for body in bodies:
        deployment.send(body)
    worker = Worker(deployment, {"SD_MAX_ATTEMPTS": "1", "SD_NOOP_MS": "20"}, source)
    worker.jobs(len(bodies) - 1)
    deployment.settle(worker)
    page = worker.get("/metrics")[1]
    assert worker.terminate() == 0
    yield Run(deployment, worker, page)
    worker.close()


def table(heading: str) -> dict[str, list[str]]:
    """The rows of the first table after these words in the documentation, by their first cell."""
    lines = (ROOT / "docs/worker.md").read_text().partition(heading)[2].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|---"))
    rows: dict[str, list[str]] = {}
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[cells[0].strip("`")] = cells[1:]
    return rows


def test_every_request_had_its_answer(run: Run) -> None:
    for request_id, status in OUTCOMES.items():
        assert run.deployment.wait(request_id, 1)["status"] == status


def test_no_line_holds_a_prompt(run: Run) -> None:
    assert MARK not in json.dumps(run.worker.lines)
    assert MARK.encode() not in run.worker.errors
    said = [line["error"] for line in run.worker.events("log") if line["message"] == "attempt failed"]
    assert any(re.match(r"RuntimeError", text) for text in said), said
    # What the failure said is not lost: the client gets it.
    assert MARK in run.deployment.wait("fails", 1)["error"]["message"]


def test_no_line_holds_a_secret(run: Run) -> None:
    told = json.dumps(run.worker.lines) + run.worker.errors.decode()
    secrets = ["secret-of-the-role", "session-of-the-role", "AKIAWRONG"]
    assert [secret for secret in secrets if secret in told] == []


def test_every_line_names_release_and_request(run: Run) -> None:
    names = {"deployment_id", "release_id", "image_version", "instance_id", "time", "event"}
    assert [line for line in run.worker.lines if not names <= set(line)] == []
    failed = [line for line in run.worker.events("log") if line["message"] in ("attempt failed", "request expired")]
    assert {line["request_id"] for line in failed} >= {"fails", "memory", "late"}
    assert all(line["message_id"] for line in [*failed, *run.worker.events("job")])


def test_what_libraries_say_becomes_lines(run: Run) -> None:
    library = [line for line in run.worker.events("log") if line["message"] == "library"]
    assert {line["logger"] for line in library} >= {"diffusers.pipeline", "botocore.parsers", "py.warnings"}
    assert any(line["said"] == "an odd reply" for line in library)
    assert any(line["said"].endswith(": UserWarning") for line in library)
    assert run.worker.errors == b""


def test_cloudwatch_has_what_the_documentation_says_and_nothing_else(run: Run) -> None:
    release = {"DeploymentId", "ImageVersion", "ReleaseId"}
    found = run.deployment.cloudwatch.list_metrics(
        Namespace="SDInference", Dimensions=[{"Name": "DeploymentId", "Value": run.deployment.name}]
    )["Metrics"]
    documented = {
        name: release if cells[1] == "release" else set(re.findall(r"`(\w+)`", cells[1]))
        for name, cells in table("CloudWatch, namespace").items()
    }
    assert {metric["MetricName"]: {row["Name"] for row in metric["Dimensions"]} for metric in found} == documented


@pytest.mark.parametrize(
    ("name", "total"),
    [("JobsSucceeded", 1), ("JobsFailed", 5), ("JobsHandedBack", 0), ("JobsExpired", 1), ("OutOfMemory", 1)],
)
def test_counts_are_right_and_have_the_unit_that_is_documented(run: Run, name: str, total: int) -> None:
    [datum] = statistics(run, name)
    assert (datum["Sum"], datum["Unit"]) == (total, table("CloudWatch, namespace")[name][0])


@pytest.mark.parametrize(
    ("name", "count", "least", "most"),
    [("QueueMilliseconds", 6, 0, 60_000), ("DrawMilliseconds", 3, 1, 10_000), ("BatchSize", 2, 1, 3)],
)
def test_distributions_are_of_the_jobs(run: Run, name: str, count: int, least: float, most: float) -> None:
    [datum] = statistics(run, name)
    assert datum["SampleCount"] >= count
    assert least <= datum["Minimum"] <= datum["Maximum"] <= most
    assert datum["Unit"] == table("CloudWatch, namespace")[name][0]


def test_the_busy_share_is_a_share(run: Run) -> None:
    [datum] = statistics(run, "BusyShare")
    assert 0 < datum["Maximum"] <= 100
    assert datum["Unit"] == "Percent"


def statistics(run: Run, name: str) -> list[dict[str, t.Any]]:
    """What was published of a metric in all, by its release's dimensions."""
    now = dt.datetime.now(dt.UTC)
    values = {"DeploymentId": run.deployment.name, "ImageVersion": "1.0.0", "ReleaseId": "release1"}
    points = run.deployment.cloudwatch.get_metric_statistics(
        Namespace="SDInference",
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in values.items()],
        StartTime=now - dt.timedelta(hours=1),
        EndTime=now + dt.timedelta(hours=1),
        Period=86400,
        Statistics=["Sum", "SampleCount", "Minimum", "Maximum"],
    )["Datapoints"]
    return t.cast("list[dict[str, t.Any]]", points)


def test_prometheus_has_what_the_documentation_says_and_nothing_else(run: Run) -> None:
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", run.page, re.MULTILINE))
    helped = set(re.findall(r"^# HELP (\S+) \S", run.page, re.MULTILINE))
    ours = {name: kind for name, kind in types.items() if name.startswith("sd_") and not name.endswith("_created")}
    documented = {name: cells[0] for name, cells in table("Prometheus, at").items() if name.startswith("sd_")}
    assert ours == documented
    assert set(types) <= helped
    assert (
        f'sd_worker_info{{deployment_id="{run.deployment.name}",image_version="1.0.0",release_id="release1"}} 1.0'
        in run.page
    )
    assert 'sd_jobs_total{error_type="out_of_memory",outcome="failed",smoke="false"} 1.0' in run.page
    assert "process_resident_memory_bytes" in run.page


def test_the_text_in_a_picture_holds_parameters_and_nothing_of_the_deployment(run: Run) -> None:
    [image] = run.deployment.wait("good", 1)["images"]
    picture = Image.open(io.BytesIO(run.deployment.read(image["key"])))
    assert list(picture.info) == ["parameters"]
    text = picture.info["parameters"]
    assert text.startswith(f"a red three {MARK}\nNegative prompt: no {MARK}\nSteps: 2, ")
    names = [run.deployment.name, "123456789012", "s3://", "arn:", "release1", "c-17", "good"]
    names += [run.worker.imds.items["instance-id"], "secret-of-the-role", "session-of-the-role"]
    assert [name for name in names if name in text] == []


def test_without_a_safety_checker_a_picture_says_so(run: Run) -> None:
    assert [image["nsfw"] for image in run.deployment.wait("good", 1)["images"]] == [None]


def test_prompts_are_logged_where_that_is_allowed(endpoint: str) -> None:
    deployment = Deployment(endpoint, "t" + uuid.uuid4().hex[:10])
    deployment.send(request("told", "a red three"))
    worker = Worker(deployment, {"SD_LOG_PROMPTS": "true"})
    assert worker.jobs(1)[0]["prompt"] == f"a red three {MARK}"
    worker.close()


def test_the_settings_table_has_every_setting() -> None:
    read = {
        name
        for path in (SOURCE / "api_scheduler").rglob("*.py")
        for name in re.findall(r'"(SD_[A-Z_]+)"', path.read_text())
    }
    text = (ROOT / "worker_app/README.md").read_text()
    documented = set(re.findall(r"`(SD_[A-Z_]+)`", text))
    for stem, tails in re.findall(r"`(SD_MAX)_[A-Z_]+`((?:, `_[A-Z_]+`)+)", text):
        documented |= {stem + tail for tail in re.findall(r"`(_[A-Z_]+)`", tails)}
    assert read - documented == set()
