# SPDX-License-Identifier: Apache-2.0
"""Bodies through the real queue to a real worker: what becomes of each, and what the worker called on the way."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import re
import typing as t
from contextlib import closing

from api_scheduler.documents.envelope import InvalidRequest, decode
from tests.worker.bodies import fields, pictures
from tests.worker.bodies.judge import LIMITS, TERMS, judge
from tests.worker.bodies.requests import Body
from tests.worker.bodies.tap import Own, Tap
from tests.worker.harness import Deployment, Worker, until

# What a worker says on a machine that is too busy, whatever the bodies are.
_SLOW = frozenset({"metadata not read", "metrics not sent", "lease not extended", "call failed, trying again"})
# What SQS takes: XML 1.0's characters, a megabyte at most.
_CARRIED = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
_MOST_BYTES = 1024 * 1024


@dataclasses.dataclass
class Outcome:
    """How a number of bodies went."""

    sent: int = 0
    calls: int = 0
    statuses: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    problems: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class _Sent:
    body: Body
    message_id: str

    def request_id(self) -> str:
        """The id that it is to be answered under."""
        try:
            return decode(self.body.data, self.message_id, LIMITS.body_bytes).request_id
        except InvalidRequest as refused:
            return refused.request_id or self.message_id


def carried(body: Body) -> bool:
    """Whether SQS takes it."""
    try:
        return len(body.data) <= _MOST_BYTES and _CARRIED.fullmatch(body.data.decode("utf-8")) is not None
    except UnicodeDecodeError:
        return False


def _addressed(body: Body, bucket: str) -> Body:
    """With the deployment's own bucket in its addresses."""
    return dataclasses.replace(body, data=body.data.replace(pictures.BUCKET.encode(), bucket.encode()))


def send_all(deployment: Deployment, bodies: t.Iterable[Body], seconds: float) -> Outcome:
    """Send them, let one worker settle them all, and look at everything that came of it."""
    for key, data in pictures.inputs().items():
        deployment.s3.put_object(Bucket=deployment.bucket, Key=key, Body=data)
    own_bodies = (_addressed(body, deployment.bucket) for body in bodies)
    sent = [_Sent(body, deployment.send(body.data.decode("utf-8"))) for body in own_bodies]
    with Tap(deployment.endpoint) as tap, closing(Worker(deployment, _settings(tap))) as worker:
        worker.until_ready()
        until(lambda: deployment.left() == 0, seconds)
        upset = _ended(worker) + _upset(worker)
    outcome = Outcome(len(sent), len(tap.calls))
    for one in sent:
        outcome.problems += _ending(deployment, one, outcome.statuses)
    outcome.problems += [f"left {deployment.left(deployment.dead)} dead letters"] * bool(
        deployment.left(deployment.dead)
    )
    outcome.problems += [f"outside: {call}" for call in tap.calls if not own(deployment).allows(call)]
    outcome.problems += upset
    return outcome


def own(deployment: Deployment) -> Own:
    """What belongs to the deployment."""
    name = deployment.name
    queues = frozenset({f"sd-task-queue-{name}", f"sd-smoke-{name}", f"sd-task-dlq-{name}"})
    return Own(name, deployment.bucket, queues, deployment.topic)


def _settings(tap: Tap) -> dict[str, str]:
    """A worker that offers what bodies name, and whose calls are seen."""
    offered = {
        "SD_MODELS": ",".join(f"{name}=/nowhere/{name}" for name in fields.MODELS),
        "SD_LORAS": ",".join(f"{name}=/nowhere/{name}" for name in fields.LORAS),
    }
    return {"AWS_ENDPOINT_URL": tap.endpoint, **offered}


def _ended(worker: Worker) -> list[str]:
    """Tell it to stop; what is wrong with how it ends."""
    status = worker.terminate()
    return [] if status == 0 else [f"the worker ended with {status}: {worker.errors.decode()[-500:]}"]


def _upset(worker: Worker) -> list[str]:
    """What its log says that should not have happened."""
    said = [line for line in worker.events("log") if line["level"] in ("warning", "error")]
    lines = [line for line in said if line["message"] not in _SLOW]
    jobs = [line for line in worker.events("job") if line["outcome"] == "handed_back"]
    return [f"the worker said: {str(line)[:400]}" for line in lines + jobs]


def _ending(deployment: Deployment, sent: _Sent, statuses: collections.Counter[str]) -> list[str]:
    sha256 = hashlib.sha256(sent.body.data).hexdigest()
    ids = dict.fromkeys([sent.request_id(), sent.message_id])
    found = [result for name in ids if (result := deployment.result(name)) and result["body_sha256"] == sha256]
    if len(found) != 1:
        return [f"{sent.body.kind}: {len(found)} results: {sent.body.data[:200]!r}"]
    result = found[0]
    error = result["error"] or {}
    statuses[f"{result['status']} {error.get('type', '')}".strip()] += 1
    if error.get("type") == "id_conflict":
        return []
    differences = _differences(sent, result, deployment.bucket)
    return [f"{sent.body.kind}: {text}: {sent.body.data[:200]!r}" for text in differences]


def _differences(sent: _Sent, result: dict[str, t.Any], bucket: str) -> list[str]:
    """Between what the body is decided to be here, and what became of it there."""
    here = judge(sent.body, dataclasses.replace(TERMS, bucket=bucket)).outcome
    if isinstance(here, InvalidRequest):
        there = (result["error"] or {}).get("message")
        return [] if there == str(here) else [f"{str(here)[:100]!r} here, {str(there)[:100]!r} there"]
    if str((result["error"] or {}).get("message")).startswith("webhook: "):
        return []  # where webhooks may go is said by the deployment, not by the body
    if result["status"] not in ("succeeded", "expired"):
        return [f"to be drawn, and {result['status']}: {result['error']}"]
    return []
