# SPDX-License-Identifier: GPL-3.0-or-later
"""A provisioned account in this process, a fleet that draws when told to, and the module run through ``main``."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import typing as t

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from moto import mock_aws

from ansible_collections.diffusion.fleet.plugins.modules import inference_request

REGION = "us-east-1"
BUCKET = "sd-images-demo-123456789012"

Run = t.Callable[..., dict[str, t.Any]]


@dataclasses.dataclass
class Fleet:
    """The queue and the bucket of a deployment, and workers that finish everything queued on ``draw``."""

    sqs: t.Any
    s3: t.Any
    url: str
    statuses: dict[str, str] = dataclasses.field(default_factory=dict)

    def client(self, service: str) -> t.Any:
        """A client of that service (the port through which the collection reaches AWS)."""
        return boto3.client(service, region_name=REGION)

    def queued(self) -> list[dict[str, t.Any]]:
        """Take every message off the queue."""
        bodies: list[dict[str, t.Any]] = []
        while messages := self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                bodies.append({**json.loads(message["Body"]), "raw": message["Body"]})
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def draw(self, limit: int = 1000) -> list[str]:
        """Finish what is queued; the ids drawn."""
        bodies = self.queued()
        for body in bodies[:limit]:
            self.finish(body["id"], body["raw"], self.statuses.get(body["id"], "succeeded"))
        return [body["id"] for body in bodies[:limit]]

    def finish(self, request_id: str, raw: str, status: str) -> None:
        """Write a result as the workers do."""
        picture = b"picture of " + request_id.encode()
        key = f"results/{request_id}/0.png"
        image = {"key": key, "seed": 1, "width": 32, "height": 32, "sha256": hashlib.sha256(picture).hexdigest()}
        failed = {"type": "invalid_request", "message": "steps is 0", "retryable": False}
        document = {
            "id": request_id,
            "status": status,
            "images": [image] if status == "succeeded" else [],
            "error": None if status == "succeeded" else failed,
            "body_sha256": hashlib.sha256(raw.encode()).hexdigest(),
        }
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=picture)
        self.s3.put_object(Bucket=BUCKET, Key=f"results/{request_id}/result.json", Body=json.dumps(document))


@dataclasses.dataclass
class WorkingClock:
    """A clock whose sleep lets the fleet work for that long: one request a second."""

    fleet: Fleet
    time: dt.datetime = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    backlog: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)

    def now(self) -> dt.datetime:
        """The time."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.time += dt.timedelta(seconds=seconds)
        self.backlog.extend(self.fleet.queued())
        for body in [self.backlog.pop(0) for _unused in range(min(int(seconds), len(self.backlog)))]:
            self.fleet.finish(body["id"], body["raw"], self.fleet.statuses.get(body["id"], "succeeded"))


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Fleet]:
    """The account of the deployment ``demo``."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        sqs, s3 = boto3.client("sqs", region_name=REGION), boto3.client("s3", region_name=REGION)
        s3.create_bucket(Bucket=BUCKET)
        yield Fleet(sqs, s3, sqs.create_queue(QueueName="sd-task-queue-demo")["QueueUrl"])


@pytest.fixture
def run(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the module with these options; its JSON result."""

    def runner(*, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        given = {"deployment_id": "demo", "region": REGION, "wait_timeout": 0, **options}
        with patch_module_args({**given, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            inference_request.main()
        return t.cast(dict[str, t.Any], json.loads(capsys.readouterr().out))

    return runner
