# SPDX-License-Identifier: GPL-3.0-or-later
"""The sides of bench/worker: each draws so many jobs in processes of its own, and says how fast and how busily."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import itertools
import json
import os
import signal
import subprocess
import threading
import time
import typing as t
import uuid

import boto3

from bench.sides.pipeline import GUIDANCE, SIDE, STEPS
from scripts.rehearsal.stage import ROOT, free_port

OUT = ROOT / "build" / "bench"
PEERS = OUT / "peers"
WORKER_PYTHON = ROOT / ".venv" / "worker" / "bin" / "python"
MODEL = ROOT / "worker_app" / "models" / "digits"
STATS = OUT / "stats.json"
WARM = 10
"""Jobs before the clock starts."""
CLIENTS = 16
"""Of a server: twice a batch, so that the next batch waits while one is drawn."""
START_SECONDS, JOB_SECONDS = 120.0, 10.0
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class BenchFailed(Exception):
    """A side did not do its work; the message says what it said last."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """So many jobs, in so many seconds, in ``busy`` of which the thread that draws was drawing."""

    jobs: int
    seconds: float
    busy: float

    @property
    def rate(self) -> float:
        """Jobs a second."""
        return self.jobs / self.seconds

    @property
    def busy_ms(self) -> float:
        """Milliseconds of drawing a job."""
        return self.busy / self.jobs * 1000

    @property
    def idle_ms(self) -> float:
        """Milliseconds a job in which nothing was drawn."""
        return (self.seconds - self.busy) / self.jobs * 1000

    @property
    def idle(self) -> float:
        """The same as a share of the time."""
        return 1 - self.busy / self.seconds


def payload(number: int) -> dict[str, t.Any]:
    """One of many different requests that take the same work."""
    return {
        "prompt": f"a red {DIGITS[number % 10]}",
        "seed": number,
        "steps": STEPS,
        "cfg_scale": GUIDANCE,
        "width": SIDE,
        "height": SIDE,
        "sampler_name": "DPM++ 2M",
    }


def environment(**more: str) -> dict[str, str]:
    """Of a side's process."""
    keys = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}
    own = {"BENCH_MODEL": str(MODEL), "BENCH_STATS": str(STATS), "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONWARNINGS": "ignore"}
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **keys, **own, **quiet, **more}


@contextlib.contextmanager
def process(command: t.Sequence[str], env: dict[str, str]) -> t.Iterator[subprocess.Popen[str]]:
    """A side's process and all that it starts, from ``with`` to its end."""
    with (OUT / "side.log").open("w") as log:
        started = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        )
        try:
            yield started
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(started.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    started.communicate(timeout=20)


def last_words() -> str:
    """The end of what the side that failed has said."""
    return (OUT / "side.log").read_text()[-2000:]


# -- the queue's sides ------------------------------------------------------------------------------------------


class Work:
    """A queue full of jobs, and a bucket."""

    def __init__(self, endpoint: str, jobs: int) -> None:
        self.name = "b" + uuid.uuid4().hex[:10]
        sqs, s3 = (boto3.client(kind, "us-east-1", endpoint_url=endpoint, **CREDENTIALS) for kind in ("sqs", "s3"))
        self.bucket = f"sd-images-{self.name}"
        s3.create_bucket(Bucket=self.bucket)
        sqs.create_queue(QueueName=f"sd-task-dlq-{self.name}")
        self.queue = sqs.create_queue(QueueName=f"sd-task-queue-{self.name}")["QueueUrl"]
        for number in range(jobs):
            body = {"id": f"job-{number}", "api": "/sdapi/v1/txt2img", "payload": payload(number)}
            sqs.send_message(QueueUrl=self.queue, MessageBody=json.dumps(body))


CREDENTIALS = {"aws_access_key_id": "bench", "aws_secret_access_key": "local"}


def bare(jobs: int) -> Measured:
    """The pipeline, one picture a call, and nothing else."""
    command = [str(WORKER_PYTHON), "-m", "bench.sides.pipeline", str(jobs)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), check=True, capture_output=True, text=True)
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def naive(endpoint: str, jobs: int) -> Measured:
    """Receive, draw, put, delete."""
    work = Work(endpoint, jobs + WARM)
    command = [str(WORKER_PYTHON), "-m", "bench.sides.naive", work.queue, work.bucket, str(jobs + WARM)]
    with process(command, environment(AWS_ENDPOINT_URL=endpoint)) as side:
        lines = [json.loads(line) for line in itertools.islice(_out(side), jobs + WARM)]
    if len(lines) < jobs + WARM:
        raise BenchFailed(last_words())
    first, last = lines[WARM - 1], lines[-1]
    return Measured(jobs, last["at"] - first["at"], last["busy"] - first["busy"])


def worker(endpoint: str, imds: str, at_once: int, jobs: int) -> Measured:
    """This worker: everything that it does for a job, but no notice."""
    work = Work(endpoint, jobs + WARM)
    port = free_port()
    names = {
        "SD_DEPLOYMENT_ID": work.name,
        "SD_IMAGE_VERSION": "1.0.0",
        "SD_RELEASE_ID": "bench",
        "SD_TASK_QUEUE": f"sd-task-queue-{work.name}",
        "SD_DEAD_LETTER_QUEUE": f"sd-task-dlq-{work.name}",
        "SD_BUCKET": work.bucket,
        "SD_ENGINE": "diffusers",
        "SD_MODEL": str(MODEL),
        "SD_HTTP_HOST": "127.0.0.1",
        "SD_HTTP_PORT": str(port),
        "SD_MAX_BATCH": str(at_once),
        "SD_TORCH_THREADS": "1",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": imds,
        "AWS_ENDPOINT_URL": endpoint,
    }
    env = environment(**names)
    env["PYTHONPATH"] = str(ROOT / "worker_app" / "src")
    marks = []
    with process([str(WORKER_PYTHON), "-m", "api_scheduler"], env) as side:
        ended = 0
        for line in map(json.loads, _out(side)):
            if line["event"] != "job":
                continue
            ended += 1
            if line["outcome"] != "succeeded":
                raise BenchFailed(f"{line}")
            if ended in (WARM, jobs + WARM):
                marks.append((time.monotonic(), _drawing_seconds(port)))
            if ended == jobs + WARM:
                break
    if len(marks) < 2:
        raise BenchFailed(last_words())
    (since, before), (until, after) = marks
    return Measured(jobs, until - since, after - before)


def _drawing_seconds(port: int) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/status")
    with connection.getresponse() as answer:
        return float(json.load(answer)["drawing_seconds"])


def _out(side: subprocess.Popen[str]) -> t.Iterator[str]:
    assert side.stdout is not None
    return iter(side.stdout)


# -- the servers ------------------------------------------------------------------------------------------------


def server(name: str, at_once: int, jobs: int) -> Measured:
    """A model server, asked by many clients at once."""
    port = free_port()
    python, module = str(PEERS / "bin" / "python"), f"bench.sides.with_{name}"
    own = (
        ["--port", str(port), "--address", "127.0.0.1", "--timeout", "60000"]
        if name == "mosec"
        else [str(port), str(at_once)]
    )
    path = "/inference" if name == "mosec" else "/predict"
    STATS.unlink(missing_ok=True)
    with process([python, "-m", module, *own], environment(BENCH_AT_ONCE=str(at_once))) as side:
        _until_up(port, path, side)
        _ask(port, path, WARM)
        before, since = _stats(), time.monotonic()
        _ask(port, path, jobs)
        return Measured(jobs, time.monotonic() - since, _stats() - before)


def _until_up(port: int, path: str, side: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    tick = threading.Event()
    while not _answers(port, path):
        if side.poll() is not None or time.monotonic() > deadline:
            raise BenchFailed(last_words())
        tick.wait(0.3)


def _answers(port: int, path: str) -> bool:
    try:
        return _draw(http.client.HTTPConnection("127.0.0.1", port, timeout=30), path, 0)
    except (OSError, http.client.HTTPException):
        return False


def _draw(connection: http.client.HTTPConnection, path: str, number: int) -> bool:
    connection.request("POST", path, json.dumps(payload(number)), {"Content-Type": "application/json"})
    with connection.getresponse() as answer:
        return answer.read().startswith(b"\x89PNG")


def _ask(port: int, path: str, jobs: int) -> None:
    """So many jobs, by clients that each wait for one answer before they ask again."""
    numbers, failed = iter(range(jobs)), []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for number in numbers:
            if not _draw(connection, path, number):
                failed.append(number)

    clients = [threading.Thread(target=client) for _unused in range(min(CLIENTS, jobs))]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    if failed:
        raise BenchFailed(f"{len(failed)} of {jobs} were not drawn: {last_words()}")


def _stats() -> float:
    return float(json.loads(STATS.read_text())["busy"])
