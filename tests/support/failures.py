# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker leaves of a request that it fails: the kept body, and the copy in the dead letter queue."""

from __future__ import annotations

import hashlib
import typing as t

from tests.support.fleet import ACCOUNT, Fleet

MAX_MESSAGE = 1024 * 1024
"""Bytes of a message with its attributes (SQS quotas)."""


def queue_url(fleet: Fleet, name: str) -> str:
    """The address of a queue."""
    return str(fleet.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])


def fail(fleet: Fleet, release_id: str, body: str) -> str:
    """A release fails a request now; the id it was answered under."""
    digest = hashlib.sha256(body.encode()).hexdigest()
    key = f"state/failed/{release_id}/{fleet.now():%Y%m%dT%H%M%SZ}/{digest[:20]}/{digest}"
    fleet.client("s3").put_object(Bucket=fleet.names.bucket(ACCOUNT), Key=key, Body=body.encode())
    return digest[:20]


def bury(fleet: Fleet, release_id: str) -> None:
    """A copy in the dead letter queue of what that release has given up."""
    fleet.client("sqs").send_message(
        QueueUrl=queue_url(fleet, fleet.names.dead_letter_queue),
        MessageBody="given up",
        MessageAttributes={"replay_of": {"DataType": "String", "StringValue": release_id}},
    )


def kept(fleet: Fleet) -> list[str]:
    """Ids of the failed requests that were not sent again."""
    listed = fleet.client("s3").list_objects_v2(Bucket=fleet.names.bucket(ACCOUNT), Prefix="state/failed/")
    return [row["Key"].split("/")[4] for row in listed.get("Contents", ())]


def take(fleet: Fleet, queue: str) -> list[dict[str, t.Any]]:
    """Everything that is visible in a queue."""
    url, found = queue_url(fleet, queue), []
    wanted: dict[str, t.Any] = {"MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"]}
    while rows := fleet.client("sqs").receive_message(QueueUrl=url, **wanted).get("Messages"):
        found += rows
    return found


def attribute(message: t.Mapping[str, t.Any], name: str) -> str:
    """A message attribute."""
    return str(message["MessageAttributes"][name]["StringValue"])
