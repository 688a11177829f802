# SPDX-License-Identifier: Apache-2.0
"""Redrive: StartMessageMoveTask and what shows its outcome. A task here is done when its call returns."""

from __future__ import annotations

import typing as t
import uuid

from moto.core.responses import ActionResult
from moto.sqs import exceptions

from local_aws.errors import AwsError


def _by_arn(backend: t.Any, arn: str) -> t.Any:
    for queue in list(backend.queues.values()):
        if queue.queue_arn == arn:
            return queue
    raise AwsError(
        "ResourceNotFoundException", "The resource that you specified for the SourceArn parameter doesn't exist."
    )


def start_message_move_task(response: t.Any) -> ActionResult:
    """Move every message of a dead-letter queue to its destination, or to where each came from."""
    from local_aws.sqs import service

    backend = response.sqs_backend
    source = _by_arn(backend, response._get_param("SourceArn"))
    if not backend.list_dead_letter_source_queues(source.name):
        raise exceptions.InvalidParameterValue("Source queue must be configured as a Dead Letter Queue.")
    destination = response._get_param("DestinationArn")
    moved = service.box_of(source).purge()
    for message in moved:
        target = _by_arn(backend, str(destination or message.source_arn))
        message.receives, message.source_arn, message.handle, message.sent_at = 0, None, None, service.now_ms()
        service.box_of(target).add(message, service.now_ms())
    task = {
        "TaskHandle": str(uuid.uuid4()),
        "Status": "COMPLETED",
        "SourceArn": source.queue_arn,
        "ApproximateNumberOfMessagesMoved": len(moved),
        "ApproximateNumberOfMessagesToMove": len(moved),
        "StartedTimestamp": service.now_ms(),
    } | ({"DestinationArn": destination} if destination else {})
    source.__dict__.setdefault("moves", []).insert(0, task)
    return ActionResult({"TaskHandle": task["TaskHandle"]})


def list_message_move_tasks(response: t.Any) -> ActionResult:
    """The last tasks of a queue, newest first."""
    source = _by_arn(response.sqs_backend, response._get_param("SourceArn"))
    tasks = source.__dict__.get("moves", [])[: int(response._get_param("MaxResults") or 1)]
    return ActionResult(
        {"Results": [{key: value for key, value in task.items() if key != "TaskHandle"} for task in tasks]}
    )


def cancel_message_move_task(response: t.Any) -> ActionResult:
    """Nothing is ever left to cancel."""
    handle = response._get_param("TaskHandle")
    raise AwsError("ResourceNotFoundException", f"The task {handle} is not running.")
