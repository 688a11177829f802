# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left of requests that a release has failed: kept bodies, messages, copies in the dead letter queue."""

from __future__ import annotations

import typing as t

from tests.support.fleet import ACCOUNT, Fleet

MAX_MESSAGE = 1024 * 1024
"""Bytes of a message with its attributes (SQS quotas)."""


def queue_url(fleet: Fleet, name: str) -> str:
    """The address of a queue."""
    return str(fleet.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])


def bury(fleet: Fleet, release_id: str) -> None:
    """A copy in the dead letter queue of what that release has given up."""
    fleet.client("sqs").send_message(
        QueueUrl=queue_url(fleet, fleet.names.dead_letter_queue),
        MessageBody="given up",
        MessageAttributes={"replay_of": {"DataType": "String", "StringValue": release_id}},
    )


def kept(fleet: Fleet) -> list[tuple[str, str]]:
    """(release id, request id) of the failed requests that were not sent again."""
    listed = fleet.client("s3").list_objects_v2(Bucket=fleet.names.bucket(ACCOUNT), Prefix="state/failed/")
    rows = [row["Key"].split("/") for row in listed.get("Contents", ())]
    return [(row[2], row[4]) for row in rows]


def look(fleet: Fleet, queue: str) -> list[dict[str, t.Any]]:
    """Everything that is visible in a queue, and stays there."""
    sqs, url, found = fleet.client("sqs"), queue_url(fleet, queue), []
    wanted: dict[str, t.Any] = {"MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"]}
    while rows := sqs.receive_message(QueueUrl=url, **wanted).get("Messages"):
        found += rows
    for row in found:
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=row["ReceiptHandle"], VisibilityTimeout=0)
    return found


def attribute(message: t.Mapping[str, t.Any], name: str) -> str:
    """A message attribute."""
    return str(message["MessageAttributes"][name]["StringValue"])


def sent_again(fleet: Fleet) -> dict[str, list[dict[str, t.Any]]]:
    """The messages in the task queue, by the id that they are to be answered under."""
    found: dict[str, list[dict[str, t.Any]]] = {}
    for row in look(fleet, fleet.names.task_queue):
        found.setdefault(attribute(row, "request_id"), []).append(row)
    return found
