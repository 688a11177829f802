# SPDX-License-Identifier: Apache-2.0
"""The worker as a real process against real SQS and S3 calls, and helpers that play the client."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import botocore.session

from tests.worker.imds import Imds

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "worker_app" / "src"
_TICK = threading.Event()


def until(probe: t.Callable[[], t.Any], seconds: float = 120.0) -> t.Any:
    """The first true answer of the probe; fails the test after that long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := probe():
            return answer
        _TICK.wait(0.05)
    raise AssertionError(f"nothing after {seconds} s")


def must_run(process: subprocess.Popen[bytes], output: Path) -> bool:
    """False while the process runs; fails the test with its output once it has ended."""
    assert process.poll() is None, f"exit status {process.returncode}: {output.read_text()}"
    return False


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def local_aws(folder: Path) -> t.Iterator[str]:
    """local_aws, in the controller's environment, since the worker's has no moto; its address."""
    port = free_port()
    url, python = f"http://127.0.0.1:{port}", str(ROOT / ".venv/controller/bin/python")
    command = [python, "-m", "local_aws", "serve", "--port", str(port), "--state-dir", str(folder)]
    with (folder / "output").open("wb") as output:
        server = subprocess.Popen([*command, "--worker-python", sys.executable], cwd=ROOT, stdout=output, stderr=output)
    try:
        until(lambda: get(f"{url}/_local/health")[0] == 200 or must_run(server, folder / "output"))
        yield url
        must_run(server, folder / "output")  # else the tests' failures to connect would say nothing of the cause
    finally:
        server.terminate()
        server.wait(30)


def get(url: str) -> tuple[int, str]:
    """Status and body of a GET; status 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


@dataclasses.dataclass
class Deployment:
    """A deployment's queues, bucket and topic, with a client's view of them."""

    endpoint: str
    name: str

    def __post_init__(self) -> None:
        session = botocore.session.Session()
        session.set_credentials("test", "test")
        self.sqs, self.s3, self.sns, self.ssm, self.cloudwatch, self.autoscaling, self.ec2, self.iam = (
            session.create_client(service, region_name="us-east-1", endpoint_url=self.endpoint)
            for service in ("sqs", "s3", "sns", "ssm", "cloudwatch", "autoscaling", "ec2", "iam")
        )
        self.bucket = f"sd-images-{self.name}"
        self.s3.create_bucket(Bucket=self.bucket)
        self.tasks, self.dead, self.notices = (
            self.sqs.create_queue(QueueName=f"{prefix}-{self.name}")["QueueUrl"]
            for prefix in ("sd-task-queue", "sd-task-dlq", "notices")
        )
        self.topic = self.sns.create_topic(Name=f"sd-results-{self.name}")["TopicArn"]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.notices, AttributeNames=["QueueArn"])
        arn = answer["Attributes"]["QueueArn"]
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)
        self.set_status("stable")

    def set_status(self, value: str) -> None:
        """Write the deployment's status parameter."""
        self.ssm.put_parameter(
            Name=f"/sd-inference/{self.name}/deployment-status", Value=value, Type="String", Overwrite=True
        )

    def send(self, body: t.Any, queue: str = "") -> str:
        """Send a body (text, or a document); the message id."""
        text = body if isinstance(body, str) else json.dumps(body)
        return str(self.sqs.send_message(QueueUrl=queue or self.tasks, MessageBody=text)["MessageId"])

    def result(self, request_id: str) -> dict[str, t.Any] | None:
        """The result as it is now."""
        try:
            body = self.s3.get_object(Bucket=self.bucket, Key=f"results/{request_id}/result.json")["Body"].read()
        except self.s3.exceptions.NoSuchKey:
            return None
        return t.cast("dict[str, t.Any]", json.loads(body))

    def wait(self, request_id: str, seconds: float = 120.0) -> dict[str, t.Any]:
        """The result, once it is there."""
        return t.cast("dict[str, t.Any]", until(lambda: self.result(request_id), seconds))

    def read(self, key: str) -> bytes:
        """An object's bytes."""
        return bytes(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def left(self, queue: str = "") -> int:
        """Messages in a queue, hidden ones included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=queue or self.tasks, AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def settle(self, *workers: Worker) -> None:
        """Returns once the task queue is empty and these workers have nothing in hand."""
        until(lambda: self.left() == 0 and all(worker.idle() for worker in workers))

    def take(self, queue: str) -> list[dict[str, t.Any]]:
        """Up to ten messages of a queue, removed from it."""
        found = self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
            "Messages", []
        )
        for message in found:
            self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return t.cast("list[dict[str, t.Any]]", found)


class Worker:
    """A worker process with its metadata service."""

    def __init__(self, deployment: Deployment, extra: dict[str, str], source: Path = SOURCE) -> None:
        self.imds = Imds(f"i-{uuid.uuid4().hex[:17]}")
        name = deployment.name
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "PYTHONPATH": str(source),
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.imds.url,
            "AWS_ENDPOINT_URL": deployment.endpoint,
            # Key variables must be ignored: these would be refused by name.
            "AWS_ACCESS_KEY_ID": "AKIAWRONG",
            "AWS_SECRET_ACCESS_KEY": "wrong",
            "SD_DEPLOYMENT_ID": name,
            "SD_IMAGE": "repository@sha256:0",
            "SD_IMAGE_VERSION": "1.0.0",
            "SD_RELEASE_ID": "release1",
            "SD_GROUP": "",
            "SD_TASK_QUEUE": f"sd-task-queue-{name}",
            "SD_SMOKE_QUEUE": f"sd-smoke-{name}",
            "SD_DEAD_LETTER_QUEUE": f"sd-task-dlq-{name}",
            "SD_BUCKET": deployment.bucket,
            "SD_RESULTS_TOPIC_ARN": deployment.topic,
            "SD_ENGINE": "noop",
            "SD_HTTP_HOST": "127.0.0.1",
            "SD_HTTP_PORT": "0",
            "SD_WAIT_SECONDS": "1",
            "SD_VISIBILITY_SECONDS": "15",
            "SD_STATUS_SECONDS": "0",
            "SD_BACKOFF_SECONDS": "0",
            "SD_HOOK_POLL_SECONDS": "0.1",
            "SD_TORCH_THREADS": "1",
            **extra,
        }
        # Files, not pipes: what is written at some moment can be read at that moment.
        self._folder = tempfile.TemporaryDirectory()
        self._output, self._errors = (Path(self._folder.name, name) for name in ("output", "errors"))
        command = [sys.executable, "-m", "api_scheduler"]
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(command, env=environment, stdout=output, stderr=errors)

    @property
    def lines(self) -> list[dict[str, t.Any]]:
        """Its log lines so far."""
        written = self._output.read_bytes()
        return [json.loads(line) for line in written[: written.rfind(b"\n") + 1].splitlines()]

    @property
    def errors(self) -> bytes:
        """What it has written beside them so far."""
        return self._errors.read_bytes()

    def events(self, event: str) -> list[dict[str, t.Any]]:
        """The log lines of one kind so far."""
        return [line for line in self.lines if line["event"] == event]

    def states(self) -> list[str]:
        """The states it went through."""
        return [str(line["state"]) for line in self.events("state")]

    def jobs(self, count: int) -> list[dict[str, t.Any]]:
        """The job lines, once there are that many."""
        return t.cast(
            "list[dict[str, t.Any]]", until(lambda: self.events("job") if len(self.events("job")) >= count else None)
        )

    def said(self, message: str) -> list[dict[str, t.Any]]:
        """The log lines with that message, once there is one."""
        return t.cast(
            "list[dict[str, t.Any]]", until(lambda: [line for line in self.events("log") if line["message"] == message])
        )

    def get(self, path: str) -> tuple[int, str]:
        """A page of its HTTP server."""
        port = until(lambda: [line["port"] for line in self.events("log") if line["message"] == "started"])[0]
        return get(f"http://127.0.0.1:{port}{path}")

    def until_ready(self, seconds: float = 120.0) -> Worker:
        """Itself, once it is ready."""
        until(lambda: "ready" in self.states() or self._must_live(), seconds)
        return self

    def status(self) -> dict[str, t.Any]:
        """Its status page."""
        return t.cast("dict[str, t.Any]", json.loads(self.get("/status")[1]))

    def idle(self) -> bool:
        """Whether no message is in its hands: every line about those that were is written."""
        return self.process.poll() is not None or not any(self.status()["in_hand"].values())

    def until_drawing(self, count: int = 1) -> None:
        """Returns once it draws, and that many messages have come as far as this, those in line included."""
        until(lambda: (now := self.status())["in_work"] and now["in_hand"]["drawing"] >= count)

    def terminate(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def close(self) -> None:
        """Kill what is left."""
        self.process.kill()
        self.process.wait()
        self._folder.cleanup()
        self.imds.close()

    def _must_live(self) -> bool:
        assert self.process.poll() is None, self.errors.decode()
        return False


StartWorker = t.Callable[..., Worker]
