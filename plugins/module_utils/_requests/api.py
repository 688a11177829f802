# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The API calls of requests and results, one function each."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import aws_call
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import AwsError, NotFound
from ansible_collections.diffusion.fleet.plugins.module_utils._requests.body import Request

NO_QUEUE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})


@aws_call("find out which account this is")
def account_id(sts: t.Any) -> str:
    """The id of the account of the credentials in use."""
    return str(sts.get_caller_identity()["Account"])


def find_queue(sqs: t.Any, name: str) -> str:
    """The queue's URL. Raises NotFound."""
    try:
        return queue_url(sqs, name)
    except AwsError as error:
        if error.details.get("code") not in NO_QUEUE:
            raise
        raise NotFound(
            f"Queue {name} does not exist in this account and region. Check deployment_id, or run provision.yml."
        ) from error


@aws_call("find the queue")
def queue_url(sqs: t.Any, name: str) -> str:
    """The queue's URL."""
    return str(sqs.get_queue_url(QueueName=name)["QueueUrl"])


@aws_call("send requests")
def send_batch(sqs: t.Any, url: str, requests: t.Sequence[Request]) -> dict[str, str]:
    """Send up to ten requests; what SQS did not accept, by id, with its reason."""
    entries = [{"Id": str(index), "MessageBody": request.body} for index, request in enumerate(requests)]
    reply = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    return {
        requests[int(entry["Id"])].id: str(entry.get("Message") or entry.get("Code"))
        for entry in reply.get("Failed", [])
    }


def find_result(s3: t.Any, bucket: str, request_id: str) -> dict[str, t.Any] | None:
    """The result document of that request, or None while there is none."""
    try:
        return t.cast(dict[str, t.Any], json.loads(read_object(s3, bucket, f"results/{request_id}/result.json")))
    except AwsError as error:
        if error.details.get("code") == "NoSuchKey":
            return None
        raise


@aws_call("read from the bucket")
def read_object(s3: t.Any, bucket: str, key: str) -> bytes:
    """The bytes of an object."""
    return t.cast(bytes, s3.get_object(Bucket=bucket, Key=key)["Body"].read())
