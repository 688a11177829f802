# SPDX-License-Identifier: Apache-2.0
"""moto's SQS with its storage of standard queues replaced."""

from __future__ import annotations

import functools
import re
import select
import socket
import time
import typing as t
import uuid

from moto.core.responses import ActionResult
from moto.sqs import exceptions, models, responses

from local_aws import store
from local_aws.clock import SystemClock
from local_aws.sqs import moves
from local_aws.sqs.box import Box, Message, message_id_of

MAXIMUM_BYTES = 1024 * 1024
MAXIMUM_HELD_SECONDS = 43200
_BATCH_ID = re.compile(r"^[\w-]{1,80}$")


def install() -> None:
    """Replace queues' storage; what concerns FIFO queues stays moto's."""
    if hasattr(models.Queue, "local_aws"):
        return
    setattr(models.Queue, "local_aws", True)
    for name in ("send_message", "purge_queue", "delete_message", "change_message_visibility"):
        _replace(models.SQSBackend, name, globals()[name])
    _close_before_delete()
    for name in ("send_message_batch", "receive_message", "delete_message_batch", "change_message_visibility_batch"):
        _replace_response(name, globals()[name])
    for name in ("start_message_move_task", "list_message_move_tasks", "cancel_message_move_task"):
        setattr(responses.SQSResponse, name, getattr(moves, name))
    for name, key in (("", "visible"), ("_not_visible", "in_flight"), ("_delayed", "delayed")):
        setattr(models.Queue, f"approximate_number_of_messages{name}", _count_property(key))


def _replace(owner: t.Any, name: str, own: t.Callable[..., t.Any]) -> None:
    stock = getattr(owner, name)

    @functools.wraps(own)
    def choose(self: t.Any, queue_name: str, *args: t.Any, **kwargs: t.Any) -> t.Any:
        queue = self.get_queue(queue_name)
        return stock(self, queue_name, *args, **kwargs) if queue.fifo_queue else own(queue, *args, **kwargs)

    setattr(owner, name, choose)


def _close_before_delete() -> None:
    stock = models.SQSBackend.delete_queue

    def delete_queue(self: t.Any, queue_name: str) -> None:
        """DeleteQueue also ends the long polls of the queue."""
        box_of(self.get_queue(queue_name)).close()
        stock(self, queue_name)

    setattr(models.SQSBackend, "delete_queue", delete_queue)


def _replace_response(name: str, own: t.Callable[..., ActionResult]) -> None:
    stock = getattr(responses.SQSResponse, name)

    @functools.wraps(own)
    def choose(self: t.Any) -> ActionResult:
        queue = self.sqs_backend.get_queue(self._get_queue_name())
        return t.cast(ActionResult, stock(self) if queue.fifo_queue else own(self, queue))

    setattr(responses.SQSResponse, name, choose)


def box_of(queue: t.Any) -> Box:
    """The messages of a queue."""
    return t.cast(Box, queue.__dict__.setdefault("box", Box(queue.name)))


def now_ms() -> int:
    """The world's time in milliseconds."""
    return int(store.bound().clock.now().timestamp() * 1000)


def queues() -> list[t.Any]:
    """Every standard queue."""
    found = models.sqs_backends[store.ACCOUNT][store.REGION].queues
    return [queue for queue in list(found.values()) if not queue.fifo_queue]


def close_all() -> None:
    """End every long poll: the server stops."""
    for queue in queues():
        box_of(queue).close()


def _count_property(key: str) -> property:
    def count(queue: t.Any) -> int:
        box_of(queue).expire(now_ms(), queue.message_retention_period * 1000)
        return box_of(queue).counts(now_ms())[key]

    return property(count)


def send_message(
    queue: t.Any,
    message_body: str,
    message_attributes: dict[str, t.Any] | None = None,
    delay_seconds: int | None = None,
    deduplication_id: str | None = None,
    group_id: str | None = None,
    system_attributes: dict[str, t.Any] | None = None,
    validate_group_id: bool = True,
) -> t.Any:
    """Put one message in the queue; moto's own message goes back to its reply and to SNS."""
    del deduplication_id, validate_group_id
    size = len(message_body.encode("utf-8")) + _attribute_bytes(message_attributes or {})
    if not message_body:
        raise exceptions.MissingParameter("MessageBody")
    if size > queue.maximum_message_size:
        raise exceptions.InvalidParameterValue(
            "One or more parameters are invalid. Reason: Message must be shorter than "
            f"{queue.maximum_message_size} bytes."
        )
    delay = queue.delay_seconds if delay_seconds is None else int(delay_seconds)
    if not 0 <= delay <= models.MAXIMUM_MESSAGE_DELAY:
        raise exceptions.InvalidParameterValue(
            f"Value {delay} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
        )
    now = now_ms()
    message = Message(
        str(uuid.uuid4()), message_body, dict(message_attributes or {}), dict(system_attributes or {}), now, group_id
    )
    box_of(queue).add(message, now, delay * 1000)
    return _as_moto(message)


def _attribute_bytes(attributes: t.Mapping[str, t.Any]) -> int:
    return sum(
        len(name) + len(value.get("DataType", "")) + len(value.get("StringValue") or value.get("BinaryValue") or "")
        for name, value in attributes.items()
    )


def _as_moto(message: Message) -> t.Any:
    shown = models.Message(message.message_id, message.body, message.system)
    shown.message_attributes = dict(message.attributes)
    setattr(shown, "sent_timestamp", message.sent_at)
    return shown


def purge_queue(queue: t.Any) -> None:
    """Drop every message."""
    box_of(queue).purge()


def delete_message(queue: t.Any, receipt_handle: str) -> None:
    """Delete what the handle holds."""
    if not message_id_of(receipt_handle):
        raise exceptions.ReceiptHandleIsInvalid()
    box_of(queue).delete(receipt_handle)


def change_message_visibility(queue: t.Any, receipt_handle: str, visibility_timeout: int) -> None:
    """Hold a message longer, or show it at once."""
    if not message_id_of(receipt_handle):
        raise exceptions.ReceiptHandleIsInvalid()
    seconds, now = int(visibility_timeout), now_ms()
    first = box_of(queue).first_received(receipt_handle)
    if not 0 <= seconds <= MAXIMUM_HELD_SECONDS or (
        first and now + seconds * 1000 - first > MAXIMUM_HELD_SECONDS * 1000
    ):
        raise exceptions.InvalidParameterValue(
            f"Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the "
            f"message is beyond the limit [43200 seconds]"
        )
    if not box_of(queue).change_visibility(receipt_handle, now, seconds * 1000):
        raise exceptions.InvalidParameterValue(
            f"Value {receipt_handle} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not "
            f"available for visibility timeout change."
        )


def receive_message(response: t.Any, queue: t.Any) -> ActionResult:
    """ReceiveMessage, with a long poll that wakes at once."""
    count = _whole(response, "MaxNumberOfMessages", 1, 1, 10)
    wait = _whole(response, "WaitTimeSeconds", queue.receive_message_wait_time_seconds, 0, 20)
    visibility = _whole(response, "VisibilityTimeout", queue.visibility_timeout, 0, MAXIMUM_HELD_SECONDS)
    messages = receive(queue, count, visibility, wait, _listener(response))
    system = set(response._get_param("AttributeNames", [])) | set(
        response._get_param("MessageSystemAttributeNames", [])
    )
    custom = list(response._get_param("MessageAttributeNames", []))
    return ActionResult({"Messages": [_shown(message, system, custom) for message in messages]} if messages else {})


def _whole(response: t.Any, name: str, default: int, low: int, high: int) -> int:
    given = response._get_param(name)
    value = int(default) if given is None else int(given)
    if not low <= value <= high:
        raise exceptions.InvalidParameterValue(
            f"Value {value} for parameter {name} is invalid. Reason: Must be between {low} and {high}, if provided."
        )
    return value


def _listener(response: t.Any) -> t.Callable[[], bool]:
    connection: socket.socket | None = response.normalized_request.environ.get("werkzeug.socket")

    def listening() -> bool:
        """A worker killed in its long poll must not be given a message that nobody would return."""
        if connection is None:
            return True
        readable, _unused, _unused = select.select([connection], [], [], 0)
        return not readable or bool(connection.recv(1, socket.MSG_PEEK))

    return listening


def receive(
    queue: t.Any, count: int, visibility: int, wait: int, listening: t.Callable[[], bool] = lambda: True
) -> list[Message]:
    """Take messages, waiting for the first; with a virtual clock nobody waits, time would stand still."""
    box = box_of(queue)
    real = isinstance(store.bound().clock, SystemClock)
    deadline = time.monotonic() + (wait if real else 0)
    policy = queue.redrive_policy if queue.dead_letter_queue is not None else None
    limit = int(policy["maxReceiveCount"]) if policy else None
    box.expire(now_ms(), queue.message_retention_period * 1000)
    while True:
        messages, dead = box.take(now_ms(), count, visibility * 1000, limit)
        for message in dead:
            bury(queue, message)
        if messages or not box.wait(now_ms, deadline) or not listening():
            return messages


def bury(queue: t.Any, message: Message) -> None:
    """Move a message to the dead letters; it keeps its id and the time it was sent."""
    message.source_arn, message.handle = queue.queue_arn, None
    box_of(queue.dead_letter_queue).add(message, now_ms())


def _shown(message: Message, system: set[str], custom: list[str]) -> dict[str, t.Any]:
    shown = _as_moto(message)
    models._filter_message_attributes(shown, custom)
    reply: dict[str, t.Any] = {
        "MessageId": message.message_id,
        "ReceiptHandle": message.handle,
        "MD5OfBody": shown.body_md5,
        "Body": message.body,
    }
    if shown.message_attributes:
        reply |= {"MessageAttributes": shown.message_attributes, "MD5OfMessageAttributes": shown.attribute_md5}
    attributes = {
        name: value for name, value in _system_attributes(message).items() if "All" in system or name in system
    }
    return reply | ({"Attributes": attributes} if attributes else {})


def _system_attributes(message: Message) -> dict[str, str]:
    found = {
        "SenderId": models.DEFAULT_SENDER_ID,
        "SentTimestamp": str(message.sent_at),
        "ApproximateReceiveCount": str(message.receives),
        "ApproximateFirstReceiveTimestamp": str(message.first_received_at),
        "MessageGroupId": message.group_id,
        "AWSTraceHeader": (message.system.get("AWSTraceHeader") or {}).get("StringValue"),
        "DeadLetterQueueSourceArn": message.source_arn,
    }
    return {name: value for name, value in found.items() if value is not None}


def _entries(response: t.Any, action: str) -> list[dict[str, t.Any]]:
    entries = list(response._get_param("Entries", []))
    ids = [entry["Id"] for entry in entries]
    if not entries:
        raise exceptions.EmptyBatchRequest(action)
    if len(entries) > 10:
        raise exceptions.TooManyEntriesInBatchRequest(len(entries))
    if not all(_BATCH_ID.match(one) for one in ids):
        raise exceptions.InvalidBatchEntryId()
    if len(set(ids)) < len(ids):
        raise exceptions.BatchEntryIdsNotDistinct(next(one for one in ids if ids.count(one) > 1))
    return entries


def _batch(entries: list[dict[str, t.Any]], act: t.Callable[[dict[str, t.Any]], dict[str, t.Any]]) -> ActionResult:
    done: list[dict[str, t.Any]] = []
    failed: list[dict[str, t.Any]] = []
    for entry in entries:
        try:
            done.append({"Id": entry["Id"], **act(entry)})
        except exceptions.SQSException as error:
            failed.append({"Id": entry["Id"], "SenderFault": True, "Code": error.code, "Message": error.message})
    return ActionResult({"Successful": done, "Failed": failed})


def send_message_batch(response: t.Any, queue: t.Any) -> ActionResult:
    """SendMessageBatch: one bad entry does not stop the others."""
    entries = _entries(response, "Send")
    size = sum(len(entry["MessageBody"].encode("utf-8")) for entry in entries)
    if size > MAXIMUM_BYTES:
        raise exceptions.BatchRequestTooLong(size)

    def send(entry: dict[str, t.Any]) -> dict[str, t.Any]:
        message = send_message(
            queue,
            entry["MessageBody"],
            entry.get("MessageAttributes"),
            entry.get("DelaySeconds"),
            group_id=entry.get("MessageGroupId"),
            system_attributes=entry.get("MessageSystemAttributes"),
        )
        reply = {"MessageId": message.id, "MD5OfMessageBody": message.body_md5}
        return reply | ({"MD5OfMessageAttributes": message.attribute_md5} if message.message_attributes else {})

    return _batch(entries, send)


def delete_message_batch(response: t.Any, queue: t.Any) -> ActionResult:
    """DeleteMessageBatch."""

    def delete(entry: dict[str, t.Any]) -> dict[str, t.Any]:
        delete_message(queue, entry["ReceiptHandle"])
        return {}

    return _batch(_entries(response, "Delete"), delete)


def change_message_visibility_batch(response: t.Any, queue: t.Any) -> ActionResult:
    """ChangeMessageVisibilityBatch."""

    def change(entry: dict[str, t.Any]) -> dict[str, t.Any]:
        change_message_visibility(queue, entry["ReceiptHandle"], entry.get("VisibilityTimeout", 30))
        return {}

    return _batch(_entries(response, "ChangeMessageVisibility"), change)
