# SPDX-License-Identifier: Apache-2.0
"""Old and new workers at one queue: requests and results of the schema before, and of the one to come."""

from __future__ import annotations

import hashlib
import json
import typing as t

import pytest

from api_scheduler.documents import envelope
from api_scheduler.documents.envelope import InvalidRequest, NewerSchema
from tests.worker.harness import Deployment, StartWorker, until

YOUNGER = {"schema": 3, "id": "younger", "api": "/sdapi/v3/anything", "payload": {"new": 1}, "new": {}, "context": "c"}


def decoded(**members: t.Any) -> envelope.Envelope:
    body = {"api": envelope.TXT2IMG, "payload": {}, **members}
    return envelope.decode(json.dumps(body).encode(), "message", 10_000)


@pytest.mark.parametrize("schema", envelope.READ)
def test_the_present_schema_and_the_one_before_are_read(schema: int) -> None:
    assert decoded(schema=schema) == decoded()


@pytest.mark.parametrize("schema", [0, -1, True, 1.0, "2", None, [], 1.5])
def test_what_is_no_schema_is_refused(schema: t.Any) -> None:
    with pytest.raises(InvalidRequest, match=r"^schema: ") as refused:
        decoded(schema=schema)
    assert not isinstance(refused.value, NewerSchema)


def test_a_later_schema_is_told_apart_before_anything_else_of_it_is_judged() -> None:
    with pytest.raises(NewerSchema, match=r"^schema: 3 is later than the 2 that is read here") as refused:
        envelope.decode(json.dumps(YOUNGER).encode(), "message", 10_000)
    assert (refused.value.request_id, refused.value.context) == ("younger", "c")


def test_while_a_release_is_open_a_later_request_is_left_to_a_younger_worker(
    deployment: Deployment, start: StartWorker
) -> None:
    deployment.set_status("in-progress")
    deployment.send(YOUNGER)
    worker = start()
    until(lambda: len(worker.events("log")) and len(worker.said("handed back undrawn")) >= 2)
    assert deployment.result("younger") is None
    deployment.set_status("stable")
    result = deployment.wait("younger")
    assert (result["status"], result["error"]["type"], result["context"]) == ("failed", "invalid_request", "c")
    assert result["error"]["message"].startswith("schema: 3 is later")


@pytest.mark.parametrize("schema", [1, 2, 3])
def test_a_result_of_an_older_or_younger_worker_is_the_answer(
    deployment: Deployment, start: StartWorker, schema: int
) -> None:
    body = json.dumps({"id": "done", "api": envelope.TXT2IMG, "payload": {"seed": 1}})
    document = {
        # The least that every schema has, and a member that this one has not.
        "schema": schema,
        "id": "done",
        "status": "succeeded",
        "images": [],
        "error": None,
        "worker": {"instance_id": "i-0", "image_version": "0", "release_id": "other"},
        "attempts": 1,
        "context": None,
        "body_sha256": hashlib.sha256(body.encode()).hexdigest(),
        "of_another_schema": 1,
    }
    text = json.dumps(document).encode()
    deployment.s3.put_object(Bucket=deployment.bucket, Key="results/done/result.json", Body=text)
    deployment.send(body)
    worker = start()
    worker.said("duplicate acknowledged")
    deployment.settle(worker)
    assert deployment.result("done") == document
    assert worker.events("job") == []
    notice = json.loads(json.loads(deployment.take(deployment.notices)[0]["Body"])["Message"])
    assert (notice["schema"], notice["id"], notice["status"]) == (2, "done", "succeeded")
