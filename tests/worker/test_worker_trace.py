# SPDX-License-Identifier: Apache-2.0
"""The X-Ray trace that a sender began: carried to the result, the notice and the job's log line."""

from __future__ import annotations

import json

import pytest

from api_scheduler.queues import trace_id
from tests.worker.harness import Deployment, StartWorker, until
from tests.worker.test_worker_requests import request

ROOT_ID = "1-67891233-abcdef012345678912345678"


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (f"Root={ROOT_ID};Parent=53995c3f42cd8ad8;Sampled=1", ROOT_ID),
        (f"Sampled=0; Root={ROOT_ID}", ROOT_ID),
        (f"Self=1-67891234-12456789abcdef012345678;Root={ROOT_ID}", ROOT_ID),
        ("", None),
        ("Root=1-67891233-short", None),
        (f"NotRoot={ROOT_ID}", None),
    ],
)
def test_the_root_of_the_header_is_the_trace(header: str, found: str | None) -> None:
    assert trace_id(header) == found


def test_the_trace_id_goes_to_result_notice_and_job_line(deployment: Deployment, start: StartWorker) -> None:
    worker = start().until_ready()
    header = {"DataType": "String", "StringValue": f"Root={ROOT_ID};Parent=53995c3f42cd8ad8;Sampled=1"}
    for request_id, attributes in (("traced", {"AWSTraceHeader": header}), ("plain", {})):
        deployment.sqs.send_message(
            QueueUrl=deployment.tasks, MessageBody=json.dumps(request(request_id)), MessageSystemAttributes=attributes
        )
    expected = {"traced": ROOT_ID, "plain": None}
    assert {name: deployment.wait(name)["trace_id"] for name in expected} == expected
    assert {line["request_id"]: line["trace_id"] for line in worker.jobs(2)} == expected
    until(lambda: deployment.left() == 0)
    notices = [json.loads(json.loads(row["Body"])["Message"]) for row in deployment.take(deployment.notices)]
    assert {notice["id"]: notice["trace_id"] for notice in notices} == expected
