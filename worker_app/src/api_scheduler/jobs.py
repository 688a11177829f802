# SPDX-License-Identifier: Apache-2.0
"""One message, from its delivery to its end. The order is pictures, result, notice, delete: a crash between any two
leaves the message to another worker, which finds what is there and goes on from it."""

from __future__ import annotations

import dataclasses
import json
import threading
import typing as t
from concurrent.futures import Future

from api_scheduler import attempts, pictures, queues
from api_scheduler.aws import AwsFailure, error_code
from api_scheduler.clock import iso
from api_scheduler.desk import Desk
from api_scheduler.documents import envelope as envelopes
from api_scheduler.documents import txt2img
from api_scheduler.documents.envelope import Envelope, InvalidRequest
from api_scheduler.documents.result import ErrorType, Failure, Image, Result
from api_scheduler.documents.txt2img import Drawing
from api_scheduler.engines.base import InvalidOutput, OutOfMemory, Picture
from api_scheduler.queues import Message
from api_scheduler.reports import JobReport, Outcome
from api_scheduler.store import OtherBody, result_key

_LOOK_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class _Job:
    """A message whose request can be drawn, with what is known of earlier attempts."""

    message: Message
    envelope: Envelope
    drawing: Drawing
    history: attempts.History
    attempt: attempts.Attempt
    number: int


class Jobs:
    """Settles messages, one at a time."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def settle(self, message: Message) -> None:
        """Bring the message to an end, or give it back. Never raises."""
        self._desk.leases.hold(message)
        try:
            self._settle(message)
        except Exception as error:  # noqa: BLE001 one message never stops the worker
            self._desk.log.error(
                "message not settled",
                message_id=message.message_id,
                receives=message.receive_count,
                error=f"{type(error).__name__}: {error}"[:500],
            )
            self._despair(message)
        finally:
            self._desk.leases.release(message)

    def return_untouched(self, message: Message) -> None:
        """Give a message back at once, before anything was done with it. Never raises."""
        try:
            request_id = self._request_id(message)
            self._hand_back(message, request_id, self._history(request_id), None, 0)
        except Exception as error:  # noqa: BLE001 the lease ends by itself, and the worker has other things to finish
            self._desk.log.warning("message not handed back", message_id=message.message_id, code=error_code(error))

    # -- deciding ---------------------------------------------------------------------------------------------------

    def _settle(self, message: Message) -> None:
        refused: InvalidRequest | None = None
        envelope: Envelope | None = None
        try:
            envelope = envelopes.decode(_bytes(message), message.message_id, self._desk.settings.limits.body_bytes)
            request_id = envelope.request_id
        except InvalidRequest as error:
            refused, request_id = error, error.request_id or message.message_id
        existing = self._desk.patiently(lambda: self._desk.store.result(request_id))
        if existing is not None:
            self._already_answered(message, request_id, existing)
        elif envelope is None:
            self._refuse(message, t.cast(InvalidRequest, refused))
        elif self._expired(message, envelope):
            self._expire(message, envelope)
        else:
            self._attempt(message, envelope)

    def _attempt(self, message: Message, envelope: Envelope) -> None:
        desk = self._desk
        try:
            drawing = txt2img.parse(envelope, desk.settings.limits, desk.native_side())
        except InvalidRequest as error:
            self._refuse(message, error)
            return
        rules = self._rules(message)
        history = self._history(envelope.request_id) if message.receive_count > 1 else attempts.History()
        decision = attempts.before_drawing(history, message.message_id, message.receive_count, rules)
        if isinstance(decision, attempts.HandBack):
            self._hand_back(message, envelope.request_id, history, None, decision.seconds)
            return
        attempt = attempts.Attempt(desk.worker.release_id, desk.worker.instance_id, iso(desk.clock.now()))
        if isinstance(decision, attempts.GiveUp):
            self._give_up(_Job(message, envelope, drawing, history, attempt, decision.attempts), decision, 0.0)
            return
        if message.receive_count > 1 or rules.release_open:
            # A first attempt in quiet times is not recorded: if its worker is lost, the receive count shows it.
            history = history.started(attempt)
            self._desk.patiently(lambda: desk.store.put_state(envelope.request_id, history.document()))
        self._draw(_Job(message, envelope, drawing, history, attempt, decision.number))

    def _draw(self, job: _Job) -> None:
        desk = self._desk
        began = desk.clock.monotonic()
        future = desk.draw_thread.draw(job.drawing)
        ended = self._wait(future)
        draw_ms = (desk.clock.monotonic() - began) * 1000
        if ended == "overdue":
            self._hand_back(job.message, job.envelope.request_id, job.history, job.attempt, 0)
            return
        if ended == "hung":
            self._hung(job, draw_ms)
            return
        error = future.exception()
        if error is None:
            self._deliver(job, future.result(), draw_ms)
        else:
            self._failed(job, error, draw_ms)

    def _wait(self, future: Future[list[Picture]]) -> t.Literal["done", "overdue", "hung"]:
        """Wait for the drawing, unless the worker must go before it is done or it shows no progress any more."""
        done = threading.Event()
        future.add_done_callback(lambda _future: done.set())
        while not self._desk.clock.wait(done, _LOOK_SECONDS):
            if self._desk.life.overdue():
                return "overdue"
            if self._desk.draw_thread.stalled() >= self._desk.settings.hang_seconds:
                return "hung"
        return "done"

    def _hung(self, job: _Job, draw_ms: float) -> None:
        # Python cannot end a thread: the process ends, and the service manager starts a fresh one.
        try:
            self._failed(job, TimeoutError(f"hung: no step in {self._desk.settings.hang_seconds:g} s"), draw_ms)
        finally:
            self._desk.life.break_down("hung drawing", 0)

    def _failed(self, job: _Job, error: BaseException, draw_ms: float) -> None:
        desk, request_id = self._desk, job.envelope.request_id
        error_type = _error_type(error)
        text = f"{type(error).__name__}: {error}"
        known = job.history if job.message.receive_count > 1 else self._history(request_id)
        history = known.ended(job.attempt, error_type, text)
        self._desk.patiently(lambda: desk.store.put_state(request_id, history.document()))
        decision = attempts.after_failure(history, job.number, job.message.receive_count, self._rules(job.message))
        desk.log.warning(
            "attempt failed", request_id=request_id, attempt=job.number, error_type=error_type, error=text[:500]
        )
        if isinstance(decision, attempts.GiveUp):
            self._give_up(job, decision, draw_ms)
            return
        self._report(job.message, request_id, "handed_back", error_type, job.number, draw_ms, job.drawing)
        queues.change_visibility(desk.clients.sqs, job.message, decision.seconds)

    # -- answering --------------------------------------------------------------------------------------------------

    def _deliver(self, job: _Job, drawn: list[Picture], draw_ms: float) -> None:
        message, request_id = job.message, job.envelope.request_id
        try:
            result = self._success(job, drawn, draw_ms)
            other = self._write(message, result)
        except OtherBody:
            self._conflict(message, request_id)
            return
        except Exception as error:  # noqa: BLE001 what was drawn and cannot be kept is a failed attempt like any other
            self._failed(job, error, draw_ms)
            return
        if self._conclude(message, result, other):
            self._report(message, request_id, "succeeded", None, job.number, draw_ms, job.drawing)

    def _success(self, job: _Job, drawn: list[Picture], draw_ms: float) -> Result:
        desk, message = self._desk, job.message
        began = desk.clock.monotonic()
        images = tuple(self._upload(job, number, picture) for number, picture in enumerate(drawn))
        upload_ms = (desk.clock.monotonic() - began) * 1000
        parameters = {**job.drawing.parameters(), "model": desk.settings.model.rstrip("/").rsplit("/", 1)[-1]}
        timings = {
            "queue": message.waited_ms,
            "draw": draw_ms,
            "upload": upload_ms,
            "total": (desk.clock.now() - message.sent_at).total_seconds() * 1000,
        }
        return Result(
            job.envelope.request_id,
            "succeeded",
            message.body_sha256,
            desk.worker,
            images,
            parameters,
            None,
            {name: round(value, 3) for name, value in timings.items()},
            job.number,
            job.envelope.context,
        )

    def _upload(self, job: _Job, number: int, picture: Picture) -> Image:
        seed = job.drawing.seeds[number]
        png = pictures.encode(picture, pictures.infotext(job.drawing, seed))
        key, sha256 = self._desk.patiently(
            lambda: self._desk.store.put_picture(job.envelope.request_id, number, png, job.message.body_sha256)
        )
        return Image(key, seed, picture.shape[1], picture.shape[0], sha256)

    def _refuse(self, message: Message, error: InvalidRequest) -> None:
        request_id = error.request_id or message.message_id
        self._fail(message, request_id, Failure("invalid_request", str(error)), error.context)

    def _give_up(self, job: _Job, decision: attempts.GiveUp, draw_ms: float) -> None:
        message, request_id = job.message, job.envelope.request_id
        failure = Failure(decision.error_type, decision.message)
        result = self._failure(message, request_id, failure, job.envelope.context, decision.attempts)
        if self._answer(message, result, dead=True):
            self._report(message, request_id, "failed", failure.type, decision.attempts, draw_ms, job.drawing)

    def _fail(self, message: Message, request_id: str, failure: Failure, context: t.Any = None) -> None:
        if self._answer(message, self._failure(message, request_id, failure, context, 1)):
            self._report(message, request_id, "failed", failure.type, 1, 0.0, None)

    def _expire(self, message: Message, envelope: Envelope) -> None:
        failure = Failure("expired", f"its ttl_seconds of {envelope.ttl_seconds:g} had passed before it was drawn")
        result = self._failure(message, envelope.request_id, failure, envelope.context, 0)
        self._answer(message, dataclasses.replace(result, status="expired"))
        self._desk.log.info("request expired", request_id=envelope.request_id)

    def _already_answered(self, message: Message, request_id: str, existing: dict[str, t.Any]) -> None:
        if existing.get("body_sha256") == message.body_sha256:
            # Its worker may have been lost between result and notice, so the notice goes out (again).
            error = existing.get("error")
            failure = Failure(error["type"], error["message"]) if error else None
            worker = self._desk.worker
            self._notify(message, Result(request_id, existing["status"], message.body_sha256, worker, failure=failure))
            queues.delete(self._desk.clients.sqs, message)
            self._desk.log.info("duplicate acknowledged", request_id=request_id, message_id=message.message_id)
            return
        self._conflict(message, request_id)

    def _conflict(self, message: Message, request_id: str) -> None:
        text = f"id: {request_id!r} was used before with another body; send this request again under its own id"
        self._fail(message, message.message_id, Failure("id_conflict", text))

    def _answer(self, message: Message, result: Result, dead: bool = False) -> bool:
        """Write the result, publish, delete; False when there was a result already."""
        return self._conclude(message, result, self._write(message, result), dead)

    def _write(self, message: Message, result: Result) -> dict[str, t.Any] | None:
        """Keep what failed, and write the result; the other result where one lies already."""
        store, document = self._desk.store, result.document()
        if result.status != "succeeded":
            self._desk.patiently(lambda: store.put_request(result.request_id, message.body))
        if self._desk.patiently(lambda: store.put_result(result.request_id, document)):
            return None
        existing = self._desk.patiently(lambda: store.result(result.request_id))
        if existing is None:
            raise LookupError(f"the result of {result.request_id!r} is said to exist and is not there; try again")
        # The reply to the first try may have been lost: then it is this very document that lies there.
        return None if existing == json.loads(json.dumps(document)) else existing

    def _conclude(self, message: Message, result: Result, other: dict[str, t.Any] | None, dead: bool = False) -> bool:
        """Publish and delete what was answered; False when it was ``other`` that answered it."""
        if other is not None:
            if result.request_id == message.message_id:
                other = {**other, "body_sha256": message.body_sha256}  # a conflict about a conflict ends here
            self._already_answered(message, result.request_id, other)
            return False
        self._notify(message, result)
        if dead and result.failure and not message.smoke:
            self._bury(message, result.request_id, result.failure)
        queues.delete(self._desk.clients.sqs, message)
        return True

    def _notify(self, message: Message, result: Result) -> None:
        topic = self._desk.settings.results_topic_arn
        if not topic:
            return
        notice = result.notice(self._desk.store.bucket, result_key(result.request_id))
        try:
            self._desk.clients.sns.publish(
                TopicArn=topic,
                Message=json.dumps(notice),
                MessageAttributes={"status": {"DataType": "String", "StringValue": result.status}},
            )
        except AwsFailure as error:
            # The message comes back as a duplicate and the notice is tried again, but not for ever.
            if message.receive_count < attempts.RECEIVES_LIMIT:
                raise
            self._desk.log.error("notice given up", request_id=result.request_id, code=error_code(error))

    def _bury(self, message: Message, request_id: str, failure: Failure) -> None:
        attributes = {"reason": failure.type, "message": failure.message[:200], "request_id": request_id}
        if not self._desk.dead_letters.send(message.body, attributes):
            self._desk.log.error("dead letter queue does not exist", queue=self._desk.settings.dead_letter_queue)

    # -- handing back -----------------------------------------------------------------------------------------------

    def _hand_back(
        self,
        message: Message,
        request_id: str,
        history: attempts.History,
        attempt: attempts.Attempt | None,
        seconds: int,
    ) -> None:
        """Give back a message whose receive is not to count as an attempt."""
        document = history.handed_back(message.message_id, attempt).document()
        self._desk.store.put_state(request_id, document)
        self._desk.leases.release(message)
        queues.change_visibility(self._desk.clients.sqs, message, seconds)
        self._desk.log.info("handed back undrawn", request_id=request_id, seconds=seconds)

    def _despair(self, message: Message) -> None:
        """Something unforeseen went wrong: back with the message, growing rarer; at the backstop, answer it."""
        try:
            if message.receive_count >= attempts.RECEIVES_LIMIT:
                text = f"the worker could not settle this request in {message.receive_count} tries"
                failure = Failure("transient", text)
                self._answer(
                    message,
                    self._failure(message, self._request_id(message), failure, None, message.receive_count),
                    dead=True,
                )
                return
            seconds = attempts.backoff(self._desk.settings.backoff_seconds, message.receive_count)
            queues.change_visibility(self._desk.clients.sqs, message, seconds)
        except Exception as error:  # noqa: BLE001 the last line of defence: the worker goes on to the next message
            self._desk.log.warning("message left to its timeout", message_id=message.message_id, code=error_code(error))

    # -- helpers ----------------------------------------------------------------------------------------------------

    def _rules(self, message: Message) -> attempts.Rules:
        # A smoke queue belongs to one release: no other will ever try its messages.
        settings, release_open = self._desk.settings, not message.smoke and self._desk.releases.open()
        return attempts.Rules(settings.max_attempts, settings.backoff_seconds, settings.release_id, release_open)

    def _history(self, request_id: str) -> attempts.History:
        return attempts.read(self._desk.patiently(lambda: self._desk.store.state(request_id)))

    def _request_id(self, message: Message) -> str:
        try:
            limits = self._desk.settings.limits
            return envelopes.decode(_bytes(message), message.message_id, limits.body_bytes).request_id
        except InvalidRequest as error:
            return error.request_id or message.message_id

    def _expired(self, message: Message, envelope: Envelope) -> bool:
        age = (self._desk.clock.now() - message.sent_at).total_seconds()
        return envelope.ttl_seconds is not None and age > envelope.ttl_seconds

    def _failure(
        self,
        message: Message,
        request_id: str,
        failure: Failure,
        context: t.Any,
        tried: int,
    ) -> Result:
        return Result(
            request_id,
            "failed",
            message.body_sha256,
            self._desk.worker,
            failure=failure,
            attempts=tried,
            timings_ms={"queue": round(message.waited_ms, 3)},
            context=context,
        )

    def _report(
        self,
        message: Message,
        request_id: str,
        outcome: Outcome,
        error_type: ErrorType | None,
        number: int,
        draw_ms: float,
        drawing: Drawing | None,
    ) -> None:
        self._desk.reporter.job(
            JobReport(
                request_id,
                outcome,
                error_type,
                number,
                draw_ms,
                message.waited_ms,
                drawing.steps if drawing else 0,
                drawing.pixels if drawing else 0,
                message.smoke,
            )
        )


def _bytes(message: Message) -> bytes:
    return message.body.encode("utf-8", "surrogatepass")


def _error_type(error: BaseException) -> ErrorType:
    if isinstance(error, OutOfMemory):
        return "out_of_memory"
    return "invalid_output" if isinstance(error, InvalidOutput) else "transient"
