# SPDX-License-Identifier: Apache-2.0
"""Answering: the one result of a request, its notice, its copy in the dead letter queue, and the end of the message.

The order is result, kept body, notice, copy, delete. The result names its message: a message that comes back after a
crash between any two of these finds its own result and goes on from it.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from api_scheduler import attempts, queues
from api_scheduler.aws import AwsFailure, error_code
from api_scheduler.clock import iso
from api_scheduler.desk import HOPELESS, Desk
from api_scheduler.documents.drawing import Drawing
from api_scheduler.documents.result import GIVEN_UP, ErrorType, Failure, Result, Status, notice
from api_scheduler.queues import Message
from api_scheduler.reports import JobReport, Outcome
from api_scheduler.store import Kept, request_key, result_key

_UNSENDABLE = frozenset({"InvalidParameterValue", "InvalidMessageContents"})


@dataclasses.dataclass(frozen=True)
class Ticket:
    """A message that is due an answer, and the id under which it gets it."""

    message: Message
    request_id: str
    replaces: Kept | None = None
    """What the answer takes the place of: the failed result of a rejected release, or what is no result."""


def replaceable(message: Message, document: t.Mapping[str, t.Any]) -> bool:
    """Whether this message replays the very request that this result fails, and is not the one that was answered."""
    return (
        message.replay is not None
        and document.get("status") == "failed"
        and (document.get("worker") or {}).get("release_id") == message.replay.of
        and document.get("body_sha256") == message.body_sha256
        and document.get("message_id") != message.message_id
    )


class Answers:
    """Gives requests their answers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def due(self, message: Message, request_id: str) -> Ticket | None:
        """The ticket of a message that is due an answer; None when there is one, and the message was seen off."""
        kept = self._desk.patiently(lambda: self._desk.store.result(request_id))
        if kept is None:
            return Ticket(message, request_id)
        if not _is_answer(kept.document):
            # Applications may write here, to cancel. What is no result is no answer either.
            self._desk.log.warning("result cannot be read, it is replaced", request_id=request_id)
            return Ticket(message, request_id, kept)
        if replaceable(message, kept.document):
            return Ticket(message, request_id, kept)
        self._see_off(message, request_id, kept.document)
        return None

    # -- results ----------------------------------------------------------------------------------------------------

    def result(self, ticket: Ticket, status: Status, **more: t.Any) -> Result:
        """A result of this worker."""
        message, replaces = ticket.message, ticket.replaces
        sent_at = replaces.document.get("sent_at") if replaces else None
        return Result(
            ticket.request_id,
            status,
            message.body_sha256,
            self._desk.worker,
            message_id=message.message_id,
            sent_at=sent_at or iso(message.sent_at),
            replayed_from=message.replay.of if message.replay and replaces else None,
            trace_id=message.trace_id or (replaces.document.get("trace_id") if replaces else None),
            **more,
        )

    def fail(
        self,
        ticket: Ticket,
        failure: Failure,
        context: t.Any = None,
        tried: int = 1,
        draw_ms: float = 0.0,
        drawing: Drawing | None = None,
    ) -> None:
        """Answer with this failure, and report the job."""
        waited = {"queue": round(ticket.message.waited_ms, 3)}
        result = self.result(ticket, "failed", failure=failure, attempts=tried, timings_ms=waited, context=context)
        if self.answer(ticket, result):
            self.report(ticket.message, ticket.request_id, "failed", failure.type, tried, draw_ms, drawing)

    def conflict(self, ticket: Ticket) -> None:
        """Answer a message whose id another body has used, under the message's own id."""
        text = f"id: {ticket.request_id!r} was used before with another body; send this request again under its own id"
        own = ticket if ticket.replaces else Ticket(ticket.message, ticket.message.message_id)
        self.fail(own, Failure("id_conflict", text))

    # -- writing and publishing -------------------------------------------------------------------------------------

    def answer(self, ticket: Ticket, result: Result) -> bool:
        """Write the result, publish, delete; False when another answer lies there."""
        return self.conclude(ticket, result, self.write(ticket, result))

    def write(self, ticket: Ticket, result: Result) -> dict[str, t.Any] | None:
        """Keep what fails, and write the result; the other result where one lies already."""
        store, document = self._desk.store, result.document()
        if result.status == "failed" and not ticket.message.smoke:
            self._keep(ticket, result)
        if self._desk.patiently(lambda: store.put_result(result.request_id, document, ticket.replaces)):
            return None
        existing = self._desk.patiently(lambda: store.result(result.request_id))
        if existing is None:
            raise LookupError(f"the result of {result.request_id!r} is said to exist and is not there; try again")
        # The reply to the first try may have been lost: then it is this very document that lies there.
        return None if existing.document == json.loads(json.dumps(document)) else existing.document

    def _keep(self, ticket: Ticket, result: Result) -> None:
        # Before the result: a failure that a rollback could not find again would stay.
        desk, body = self._desk, ticket.message.body
        error_type = result.failure.type if result.failure else ""
        release_id, now = desk.worker.release_id, desk.clock.now()
        desk.patiently(lambda: desk.store.put_failed(release_id, result.request_id, now, body, error_type))

    def conclude(self, ticket: Ticket, result: Result, other: dict[str, t.Any] | None) -> bool:
        """Publish and delete what was answered; False when it was ``other`` that answered it."""
        message = ticket.message
        if other is None:
            self._finish(message, result.document())
            return True
        if result.request_id == message.message_id:
            other = {**other, "body_sha256": message.body_sha256}  # a conflict about a conflict ends here
        self._see_off(message, result.request_id, other)
        return False

    def _finish(self, message: Message, document: t.Mapping[str, t.Any]) -> None:
        """Everything that follows a result that this message wrote. Done again, it does no harm."""
        if document["status"] != "succeeded":
            self._desk.patiently(lambda: self._desk.store.put_request(document["id"], message.body))
        self._notify(message, document)
        error = document.get("error") or {}
        if error.get("type") in GIVEN_UP and not message.smoke:
            self._bury(message, document)
        self._acknowledge(message)

    def _acknowledge(self, message: Message) -> None:
        """Delete a message whose request has its answer, which a queue out of order does not make a failure of."""
        # What is deleted cannot be hidden any longer: the lease thread would only meet a refusal.
        self._desk.leases.release(message)
        try:
            self._desk.patiently(lambda: queues.delete(self._desk.clients.sqs, message))
        except AwsFailure as error:
            if error_code(error) in HOPELESS:
                raise
            # It comes back, and finds its answer.
            self._desk.log.warning("message not deleted", message_id=message.message_id, code=error_code(error))

    def _see_off(self, message: Message, request_id: str, existing: dict[str, t.Any]) -> None:
        """End a message whose request has its answer."""
        log, same = self._desk.log, _answers_body(existing, message)
        if same and existing.get("message_id") == message.message_id:
            # Its worker was lost between the result and the end: what is missing of notice and copies follows.
            self._finish(message, existing)
            log.info("answer completed", request_id=request_id, message_id=message.message_id)
        elif message.replay is not None:
            self._acknowledge(message)
            log.info("replay not needed", request_id=request_id, message_id=message.message_id)
        elif same:
            self._notify(message, existing)
            self._acknowledge(message)
            said = "cancelled request seen off" if existing["status"] == "cancelled" else "duplicate acknowledged"
            log.info(said, request_id=request_id, message_id=message.message_id)
        else:
            self.conflict(Ticket(message, request_id))

    def _notify(self, message: Message, document: t.Mapping[str, t.Any]) -> None:
        told = notice(document, self._desk.store.bucket, result_key(document["id"]))
        self._desk.webhooks.tell(message.body, told)
        topic = self._desk.settings.results_topic_arn
        if not topic:
            return
        text = json.dumps(told)
        status = {"status": {"DataType": "String", "StringValue": document["status"]}}
        try:
            publish = self._desk.clients.sns.publish
            self._desk.patiently(lambda: publish(TopicArn=topic, Message=text, MessageAttributes=status))
        except AwsFailure as error:
            # The message comes back as a duplicate and the notice is tried again, but not for ever.
            if message.receive_count < attempts.RECEIVES_LIMIT:
                raise
            self._desk.log.error("notice given up", request_id=document["id"], code=error_code(error))

    def _bury(self, message: Message, document: t.Mapping[str, t.Any]) -> None:
        """A copy for the dead letter queue. Its attributes are a replay's: moved back to the task queue, it is one."""
        error, request_id = document["error"], document["id"]
        attributes = {
            "reason": error["type"],
            "message": _printable(error["message"])[:200],
            queues.REQUEST_ID: request_id,
            queues.REPLAY_OF: document["worker"]["release_id"],
        }
        dead_letters = self._desk.dead_letters
        try:
            sent = dead_letters.send(message.body, attributes)
        except AwsFailure as refused:
            if error_code(refused) not in _UNSENDABLE:
                raise
            # As large as a message may be, without room for attributes: the copy says where the body lies.
            sent = dead_letters.send("{}", {**attributes, queues.BODY_AT: request_key(request_id)})
        if not sent:
            self._desk.log.error("dead letter queue does not exist", queue=self._desk.settings.dead_letter_queue)

    # -- reporting --------------------------------------------------------------------------------------------------

    def report(
        self,
        message: Message,
        request_id: str,
        outcome: Outcome,
        error_type: ErrorType | None,
        number: int,
        draw_ms: float,
        drawing: Drawing | None,
    ) -> None:
        """Tell the world how the job went."""
        steps, pixels = (drawing.steps, drawing.pixels) if drawing else (0, 0)
        self._desk.reporter.job(
            JobReport(
                request_id,
                outcome,
                error_type,
                number,
                draw_ms,
                message.waited_ms,
                steps,
                pixels,
                message.smoke,
                message.trace_id,
                self._prompts(drawing),
            )
        )

    def _prompts(self, drawing: Drawing | None) -> dict[str, str]:
        if drawing is None or not self._desk.settings.log_prompts:
            return {}
        return {"prompt": drawing.prompt, "negative_prompt": drawing.negative_prompt}


def _is_answer(document: t.Mapping[str, t.Any]) -> bool:
    # A status that is not known here may be a younger worker's.
    texts = isinstance(document.get("id"), str) and isinstance(document.get("status"), str)
    return texts and isinstance(document.get("error") or {}, dict)


def _answers_body(document: t.Mapping[str, t.Any], message: Message) -> bool:
    """Whether this result is an answer to this body. A client may cancel an id whose body it does not have."""
    sha256 = document.get("body_sha256")
    return bool(sha256 == message.body_sha256 or (sha256 is None and document.get("status") == "cancelled"))


def _printable(text: str) -> str:
    # SQS refuses control characters and everything else that XML 1.0 has no place for.
    return "".join(character if character.isprintable() else "?" for character in text)
