# SPDX-License-Identifier: Apache-2.0
"""The queues: one function a call, and a queue that may not exist yet."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import re
import threading
import typing as t

from botocore.exceptions import ClientError

from api_scheduler.aws import Client, error_code
from api_scheduler.clock import Clock
from api_scheduler.documents.envelope import is_request_id

_MISSING = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
_LOOK_AGAIN_SECONDS = 30.0
_TRACE_ID = re.compile(r"(?:^|;)\s*Root=(1-[0-9a-fA-F]{8}-[0-9a-fA-F]{24})\s*(?:;|$)")
MAX_VISIBILITY_SECONDS = 43200


REPLAY_OF, REQUEST_ID, BODY_AT = "replay_of", "request_id", "body_at"
"""Message attributes of a request that is sent again, and of its copy in the dead letter queue."""


@dataclasses.dataclass(frozen=True)
class Replay:
    """A request that is sent again because the release ``of`` failed it."""

    of: str
    request_id: str | None
    """The id it was answered under; None when the sender did not say, or said something that is no id."""
    body_at: str | None = None
    """The key of its body, where that is too large for a message with attributes."""


@dataclasses.dataclass(frozen=True)
class Message:
    """One delivery of a message."""

    queue_url: str
    message_id: str
    receipt_handle: str
    body: str
    receive_count: int
    sent_at: dt.datetime
    received_at: dt.datetime
    smoke: bool
    replay: Replay | None = None
    trace_id: str | None = None
    """Of the sender's X-Ray trace."""

    @property
    def body_sha256(self) -> str:
        """Of the body, as the result keeps it."""
        return hashlib.sha256(self.body.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def waited_ms(self) -> float:
        """From sending to this delivery."""
        return max(0.0, (self.received_at - self.sent_at).total_seconds() * 1000)


class Queue:
    """A queue known by name. While it does not exist it is empty, and looked for again from time to time."""

    def __init__(self, sqs: Client, name: str, clock: Clock, smoke: bool = False) -> None:
        self._sqs = sqs
        self._name = name
        self._clock = clock
        self._smoke = smoke
        self._url: str | None = None
        self._look_at = 0.0
        self._lock = threading.Lock()

    def url(self) -> str | None:
        """The queue's address, None while it does not exist."""
        with self._lock:
            if self._url is None and self._name and self._clock.monotonic() >= self._look_at:
                self._url = self._find()
                self._look_at = self._clock.monotonic() + _LOOK_AGAIN_SECONDS
            return self._url

    def known(self) -> bool:
        """Whether the queue was there when it was last used."""
        return self._url is not None

    def receive(self, wait_seconds: int, visibility_seconds: int, count: int = 1) -> list[Message]:
        """The next messages, at most so many; none when none came in that time."""
        url = self.url()
        if url is None:
            return []
        try:
            answer = self._sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=count,
                WaitTimeSeconds=wait_seconds,
                VisibilityTimeout=visibility_seconds,
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp", "AWSTraceHeader"],
                MessageAttributeNames=[REPLAY_OF, REQUEST_ID, BODY_AT],
            )
        except ClientError as error:
            if error_code(error) not in _MISSING:
                raise
            self._url = None
            return []
        return [self._message(found, url) for found in answer.get("Messages") or []]

    def send(self, body: str, attributes: dict[str, str]) -> bool:
        """Put a message in; whether the queue exists."""
        url = self.url()
        if url is None:
            return False
        self._sqs.send_message(
            QueueUrl=url,
            MessageBody=body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
            },
        )
        return True

    def _find(self) -> str | None:
        try:
            return str(self._sqs.get_queue_url(QueueName=self._name)["QueueUrl"])
        except ClientError as error:
            if error_code(error) in _MISSING:
                return None
            raise

    def _message(self, found: dict[str, t.Any], url: str) -> Message:
        attributes: dict[str, str] = dict(found.get("Attributes") or {})
        now = self._clock.now()
        sent_ms = int(attributes.get("SentTimestamp") or now.timestamp() * 1000)
        return Message(
            url,
            found["MessageId"],
            found["ReceiptHandle"],
            found["Body"],
            int(attributes.get("ApproximateReceiveCount") or 1),
            dt.datetime.fromtimestamp(sent_ms / 1000, dt.UTC),
            now,
            self._smoke,
            None if self._smoke else _replay(found.get("MessageAttributes") or {}),
            trace_id(attributes.get("AWSTraceHeader", "")),
        )


def _replay(attributes: dict[str, dict[str, t.Any]]) -> Replay | None:
    given = {name: str(value.get("StringValue") or "") for name, value in attributes.items()}
    if not given.get(REPLAY_OF):
        return None
    request_id = given.get(REQUEST_ID, "")
    return Replay(given[REPLAY_OF], request_id if is_request_id(request_id) else None, given.get(BODY_AT) or None)


def trace_id(header: str) -> str | None:
    """The trace that X-Ray's header names as its root; None where it names none."""
    found = _TRACE_ID.search(header)
    return found[1] if found else None


def change_visibility(sqs: Client, message: Message, seconds: int) -> None:
    """Hide a message that is held for that long from now; 0 gives it back at once."""
    sqs.change_message_visibility(
        QueueUrl=message.queue_url, ReceiptHandle=message.receipt_handle, VisibilityTimeout=seconds
    )


def delete(sqs: Client, message: Message) -> None:
    """Acknowledge a message."""
    sqs.delete_message(QueueUrl=message.queue_url, ReceiptHandle=message.receipt_handle)
