# SPDX-License-Identifier: Apache-2.0
"""One message, from its delivery to its end. The order is pictures, result, notice, delete: a crash between any two
leaves the message to another worker, which finds what is there and goes on from it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
import typing as t

from api_scheduler import attempts, pictures, queues
from api_scheduler.answers import Answers, Ticket
from api_scheduler.aws import error_code
from api_scheduler.clock import iso
from api_scheduler.desk import Desk
from api_scheduler.documents import envelope as envelopes
from api_scheduler.documents.drawing import Drawing
from api_scheduler.documents.envelope import Envelope, InvalidRequest, NewerSchema
from api_scheduler.documents.parse import parse
from api_scheduler.documents.result import ErrorType, Failure, Image, Result
from api_scheduler.drawing import DrawFailed, Ongoing, Pictures
from api_scheduler.engines.base import EngineLost, InvalidOutput, OutOfMemory, Picture
from api_scheduler.errors import Told, described
from api_scheduler.hands import Hand, Stage
from api_scheduler.lookout import Watched
from api_scheduler.queues import Message
from api_scheduler.store import OtherBody

_LOOK_SECONDS = 0.5


class Hung(Told):
    """A drawing shows no progress any more."""


@dataclasses.dataclass(frozen=True)
class _Reading:
    """A message's body as far as it could be read."""

    request_id: str
    envelope: Envelope | None = None
    refused: InvalidRequest | None = None


@dataclasses.dataclass(frozen=True)
class _Job:
    """A message whose request can be drawn, with what is known of earlier attempts."""

    ticket: Ticket
    envelope: Envelope
    drawing: Drawing
    history: attempts.History
    attempt: attempts.Attempt
    number: int

    @property
    def message(self) -> Message:
        """The message."""
        return self.ticket.message

    @property
    def request_id(self) -> str:
        """The id it is answered under."""
        return self.ticket.request_id


class Jobs:
    """Settles messages, each in a thread of its own: only drawing happens elsewhere."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._answers = Answers(desk)

    def begin(self, message: Message) -> None:
        """Bring the message to an end in a thread of its own."""
        # A daemon: one that hangs for ever must not keep the process.
        threading.Thread(target=self._settle, args=(self._take(message),), name="message", daemon=True).start()

    def settle(self, message: Message) -> None:
        """Bring the message to an end, or give it back. Never raises."""
        self._settle(self._take(message))

    def _take(self, message: Message) -> Hand:
        hand, drawing = self._desk.hands.take(message), self._desk.draw_thread.progress
        self._desk.leases.hold(message, lambda: hand.progress.hangs() or drawing.hangs())
        return hand

    def _settle(self, hand: Hand) -> None:
        log = self._desk.log
        with self._desk.hands.working(hand), log.about(message_id=hand.message.message_id):
            try:
                self._decide(hand)
            except Exception as error:  # noqa: BLE001 one message never stops the worker
                text = described(error, self._desk.settings.log_prompts)
                log.error("message not settled", receives=hand.message.receive_count, error=text)
                self._despair(hand.message)
            finally:
                self._desk.leases.release(hand.message)

    def return_untouched(self, message: Message) -> None:
        """Give a message back at once, before anything was done with it. Never raises."""
        try:
            request_id = self._read(message).request_id
            self._hand_back(message, request_id, self._history(request_id), None, 0)
        except Exception as error:  # noqa: BLE001 the lease ends by itself, and the worker has other things to finish
            self._desk.log.warning("message not handed back", message_id=message.message_id, code=error_code(error))

    # -- deciding ---------------------------------------------------------------------------------------------------

    def _decide(self, hand: Hand) -> None:
        message = self._whole(hand.message)
        reading = self._read(message)
        self._claim(hand, reading.request_id)
        self._desk.log.add(request_id=reading.request_id)
        ticket = self._answers.due(message, reading.request_id)
        if ticket is None:
            return
        if self._failed_it_itself(ticket):
            seconds = attempts.backoff(self._desk.settings.backoff_seconds, message.receive_count)
            self._hand_back(message, ticket.request_id, self._history(ticket.request_id), None, seconds)
        elif reading.envelope is None:
            self._refuse(ticket, t.cast(InvalidRequest, reading.refused))
        elif self._still_in_conflict(ticket, reading.envelope):
            self._answers.conflict(ticket)
        elif self._expired(ticket, reading.envelope):
            self._expire(ticket, reading.envelope)
        else:
            self._attempt(hand, ticket, reading.envelope)

    def _claim(self, hand: Hand, request_id: str) -> None:
        """Wait for the end of another message with this id: it may leave this one nothing to draw."""
        while (other := self._desk.hands.claim(hand, request_id)) is not None:
            hand.stage = Stage.PARKED
            if not other.progress.hangs():
                hand.progress.moved()
            hand.pause(_LOOK_SECONDS)
        hand.stage = Stage.DECIDING

    def _whole(self, message: Message) -> Message:
        """The message with its body, where that was too large to be sent again with attributes."""
        at = message.replay.body_at if message.replay else None
        body = self._desk.patiently(lambda: self._desk.store.body(at)) if at else None
        return dataclasses.replace(message, body=body) if body is not None else message

    def _read(self, message: Message) -> _Reading:
        own = message.replay.request_id if message.replay else None
        try:
            limit = self._desk.settings.limits.body_bytes
            envelope = envelopes.decode(_bytes(message), own or message.message_id, limit)
        except InvalidRequest as error:
            return _Reading(own or error.request_id or message.message_id, refused=error)
        return _Reading(own or envelope.request_id, envelope)

    def _failed_it_itself(self, ticket: Ticket) -> bool:
        """Whether the release that failed a request has got its replay: that is for another, while one is open."""
        replay = ticket.message.replay
        itself = replay is not None and replay.of == self._desk.worker.release_id
        return itself and self._desk.releases.open() and ticket.message.receive_count < attempts.RECEIVES_LIMIT

    def _still_in_conflict(self, ticket: Ticket, envelope: Envelope) -> bool:
        """Whether the replay of an ``id_conflict`` would end as one again."""
        if ticket.message.replay is None or envelope.request_id == ticket.request_id:
            return False
        other = self._desk.patiently(lambda: self._desk.store.result(envelope.request_id))
        return other is not None and other.document.get("body_sha256") != ticket.message.body_sha256

    def _attempt(self, hand: Hand, ticket: Ticket, envelope: Envelope) -> None:
        desk, message, request_id = self._desk, ticket.message, ticket.request_id
        try:
            drawing = parse(envelope, desk.terms())
            desk.webhooks.check(envelope.webhook, request_id, envelope.context)
        except InvalidRequest as error:
            self._refuse(ticket, error)
            return
        rules = self._rules(message)
        fresh = message.receive_count == 1 and not message.replay
        history = attempts.History() if fresh else self._history(request_id)
        decision = attempts.before_drawing(history, message.message_id, message.receive_count, rules)
        if isinstance(decision, attempts.GiveUp) and self._passes_on(message):
            decision = attempts.HandBack(attempts.backoff(rules.backoff_seconds, 1))
        if isinstance(decision, attempts.HandBack):
            self._hand_back(message, request_id, history, None, decision.seconds)
            return
        if isinstance(decision, attempts.GiveUp):
            self._give_up(ticket, envelope, drawing, decision, 0.0)
            return
        alone = attempts.alone(history, message.message_id, message.receive_count, rules.release_id)
        if not self._may_draw(hand, alone):
            self._hand_back(message, request_id, history, None, 0)
            return
        attempt = attempts.Attempt(desk.worker.release_id, desk.worker.instance_id, iso(desk.clock.now()))
        if not fresh or rules.release_open:
            # A first attempt in quiet times is not recorded: if its worker is lost, the receive count shows it.
            history = history.started(attempt)
            self._desk.patiently(lambda: desk.store.put_state(request_id, history.document()))
        self._draw(hand, _Job(ticket, envelope, drawing, history, attempt, decision.number))

    def _may_draw(self, hand: Hand, alone: bool) -> bool:
        """Wait for leave to draw; False when the worker is to go first."""
        while not self._desk.life.draining.is_set():
            if self._desk.hands.may_draw(hand, alone):
                return True
            hand.stage = Stage.PARKED
            hand.progress.moved()
            hand.pause(_LOOK_SECONDS)
        return False

    def _draw(self, hand: Hand, job: _Job) -> None:
        desk = self._desk
        ongoing = desk.draw_thread.draw(job.drawing)
        with desk.lookout.over(
            Watched(job.request_id, job.message.message_id, job.number, ongoing, job.ticket.replaces)
        ):
            ended = self._wait(ongoing)
        desk.hands.drawn(hand)
        if ended != "done":
            ongoing.future.cancel()
        if ended == "undrawn":
            self._undrawn(job)
            return
        if ended == "hung":
            now = desk.clock.monotonic()
            self._hung(job, (now - (now if ongoing.began is None else ongoing.began)) * 1000)
            return
        if ongoing.future.cancelled():
            self._answered_meanwhile(job)
            return
        error = ongoing.future.exception()
        if isinstance(error, DrawFailed):
            if isinstance(error.cause, EngineLost):
                desk.life.break_down("engine lost", 0)
            self._failed(job, error.cause, error.share_ms)
        else:
            self._deliver(job, ongoing.future.result())

    def _answered_meanwhile(self, job: _Job) -> None:
        if self._answers.due(job.message, job.request_id) is not None:
            raise LookupError(f"the answer to {job.request_id!r} is said to exist and is not there; try again")

    def _wait(self, ongoing: Ongoing) -> t.Literal["done", "undrawn", "hung"]:
        """Wait for the drawing, unless the worker must go before it is done or it shows no progress any more."""
        done, desk = threading.Event(), self._desk
        ongoing.future.add_done_callback(lambda _future: done.set())
        while not desk.clock.wait(done, _LOOK_SECONDS):
            desk.hands.moved()
            hangs = desk.draw_thread.progress.hangs()
            if hangs and ongoing.taken:
                return "hung"
            if hangs or desk.life.overdue() or (desk.life.draining.is_set() and ongoing.withdraw()):
                return "undrawn"
        return "done"

    def _undrawn(self, job: _Job) -> None:
        try:
            self._hand_back(job.message, job.request_id, job.history, job.attempt, 0)
        finally:
            if self._desk.draw_thread.progress.hangs():
                # What hangs may have been cancelled, with nobody to wait for it: nothing more must be taken.
                self._desk.life.break_down("hung drawing", 0)

    def _hung(self, job: _Job, draw_ms: float) -> None:
        # Python cannot end a thread: the process ends, and the service manager starts a fresh one.
        try:
            self._failed(job, Hung(f"the drawing hung, no step in {self._desk.settings.hang_seconds:g} s"), draw_ms)
        finally:
            self._desk.life.break_down("hung drawing", 0)

    def _failed(self, job: _Job, error: BaseException, draw_ms: float) -> None:
        desk, message, request_id = self._desk, job.message, job.request_id
        error_type = _error_type(error)
        text, told = f"{type(error).__name__}: {error}", described(error, desk.settings.log_prompts)
        known = job.history if message.receive_count > 1 or message.replay else self._history(request_id)
        history = known.ended(job.attempt, error_type, text)
        self._desk.patiently(lambda: desk.store.put_state(request_id, history.document()))
        rules = self._rules(message)
        decision = attempts.after_failure(history, job.number, message.receive_count, rules)
        desk.log.warning("attempt failed", request_id=request_id, attempt=job.number, error_type=error_type, error=told)
        if isinstance(decision, attempts.GiveUp) and self._passes_on(message):
            decision = attempts.HandBack(attempts.backoff(rules.backoff_seconds, 1))
        if isinstance(decision, attempts.GiveUp):
            self._give_up(job.ticket, job.envelope, job.drawing, decision, draw_ms)
            return
        desk.leases.release(message)
        queues.change_visibility(desk.clients.sqs, message, decision.seconds)
        self._answers.report(message, request_id, "handed_back", error_type, job.number, draw_ms, job.drawing)

    # -- answering --------------------------------------------------------------------------------------------------

    def _deliver(self, job: _Job, drawn: Pictures) -> None:
        draw_ms = drawn.share_ms
        try:
            result = self._success(job, drawn)
            other = self._answers.write(job.ticket, result)
        except OtherBody:
            self._answers.conflict(job.ticket)
            return
        except Exception as error:  # noqa: BLE001 what was drawn and cannot be kept is a failed attempt like any other
            self._failed(job, error, draw_ms)
            return
        if self._answers.conclude(job.ticket, result, other):
            self._desk.reporter.flagged(sum(drawn.flagged))
            self._answers.report(job.message, job.request_id, "succeeded", None, job.number, draw_ms, job.drawing)

    def _success(self, job: _Job, drawn: Pictures) -> Result:
        desk, message = self._desk, job.message
        began = desk.clock.monotonic()
        flags: tuple[bool | None, ...] = drawn.flagged or (None,) * len(drawn.pictures)
        pairs = zip(drawn.pictures, flags, strict=True)
        images = tuple(self._upload(job, number, *pair) for number, pair in enumerate(pairs))
        upload_ms = (desk.clock.monotonic() - began) * 1000
        parameters = {**job.drawing.parameters(), "model": job.drawing.model or desk.settings.default_model}
        timings = {
            "queue": message.waited_ms,
            "draw": drawn.engine_ms,
            "upload": upload_ms,
            "total": (desk.clock.now() - message.sent_at).total_seconds() * 1000,
        }
        return self._answers.result(
            job.ticket,
            "succeeded",
            images=images,
            parameters=parameters,
            timings_ms={name: round(value, 3) for name, value in timings.items()},
            attempts=job.number,
            context=job.envelope.context,
        )

    def _upload(self, job: _Job, number: int, picture: Picture, nsfw: bool | None) -> Image:
        desk, message, seed = self._desk, job.message, job.drawing.seeds[number]
        picture = pictures.finished(picture, job.drawing)
        png = pictures.encode(picture, pictures.infotext(job.drawing, seed))
        # What the rejected release drew before it failed is no part of the replay's answer.
        not_of = message.replay.of if message.replay and message.replay.of != desk.worker.release_id else None
        key, sha256 = desk.patiently(
            lambda: desk.store.put_picture(
                job.request_id, number, png, message.body_sha256, desk.worker.release_id, not_of, bool(nsfw)
            )
        )
        return Image(key, seed, picture.shape[1], picture.shape[0], sha256, nsfw)

    def _refuse(self, ticket: Ticket, error: InvalidRequest) -> None:
        message = ticket.message
        for_a_younger_one = isinstance(error, NewerSchema) and self._younger_may_come(message)
        if self._passes_on(message) or for_a_younger_one:
            tries = message.receive_count if for_a_younger_one else 1
            seconds = attempts.backoff(self._desk.settings.backoff_seconds, tries)
            self._hand_back(message, ticket.request_id, self._history(ticket.request_id), None, seconds)
            return
        self._answers.fail(ticket, Failure("invalid_request", str(error)), error.context)

    def _give_up(
        self, ticket: Ticket, envelope: Envelope, drawing: Drawing, decision: attempts.GiveUp, draw_ms: float
    ) -> None:
        failure = Failure(decision.error_type, decision.message)
        self._answers.fail(ticket, failure, envelope.context, decision.attempts, draw_ms, drawing)

    def _expire(self, ticket: Ticket, envelope: Envelope) -> None:
        failure = Failure("expired", f"its ttl_seconds of {envelope.ttl_seconds:g} had passed before it was drawn")
        waited = {"queue": round(ticket.message.waited_ms, 3)}
        result = self._answers.result(ticket, "expired", failure=failure, timings_ms=waited, context=envelope.context)
        if self._answers.answer(ticket, result):
            self._desk.reporter.expired()
        self._desk.log.info("request expired", request_id=ticket.request_id)

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
        """Something unforeseen went wrong: back with the message, growing rarer; at the backstop, answer it.

        It counts among the jobs: a release that cannot even read its requests must not look like one without work.
        """
        try:
            if message.receive_count >= attempts.RECEIVES_LIMIT:
                self._abandon(message)
                return
            self._answers.report(message, message.message_id, "handed_back", "transient", 1, 0.0, None)
            seconds = attempts.backoff(self._desk.settings.backoff_seconds, message.receive_count)
            self._desk.leases.release(message)
            queues.change_visibility(self._desk.clients.sqs, message, seconds)
        except Exception as error:  # noqa: BLE001 the last line of defence: the worker goes on to the next message
            self._desk.log.warning("message left to its timeout", message_id=message.message_id, code=error_code(error))

    def _abandon(self, message: Message) -> None:
        ticket = self._answers.due(message, self._read(message).request_id)
        if ticket is not None:
            text = f"the worker could not settle this request in {message.receive_count} tries"
            self._answers.fail(ticket, Failure("transient", text), tried=message.receive_count)

    # -- helpers ----------------------------------------------------------------------------------------------------

    def _rules(self, message: Message) -> attempts.Rules:
        # A smoke queue belongs to one release: no other will ever try its messages.
        settings, release_open = self._desk.settings, not message.smoke and self._desk.releases.open()
        return attempts.Rules(settings.max_attempts, settings.backoff_seconds, settings.release_id, release_open)

    def _passes_on(self, message: Message) -> bool:
        """Whether a failure is left to another worker: none on its way out has the last word.

        A rollback sends again what the rejected release failed. It must not go on failing requests after that, which
        is when no release is open any more. No other worker ever gets the messages of a smoke queue.
        """
        bounded = message.receive_count < attempts.RECEIVES_LIMIT
        return bounded and not message.smoke and self._desk.leaving()

    def _younger_may_come(self, message: Message) -> bool:
        """Whether a worker of a later version may be at the same queue: one is, or comes, while a release is open."""
        return not message.smoke and message.receive_count < attempts.RECEIVES_LIMIT and self._desk.releases.open()

    def _history(self, request_id: str) -> attempts.History:
        return attempts.read(self._desk.patiently(lambda: self._desk.store.state(request_id)))

    def _expired(self, ticket: Ticket, envelope: Envelope) -> bool:
        # A replay keeps the time that its request was first sent: the client has long been waiting.
        first = (ticket.replaces.document.get("sent_at") if ticket.replaces else None) or iso(ticket.message.sent_at)
        age = (self._desk.clock.now() - dt.datetime.fromisoformat(first)).total_seconds()
        return envelope.ttl_seconds is not None and age > envelope.ttl_seconds


def _bytes(message: Message) -> bytes:
    return message.body.encode("utf-8", "surrogatepass")


def _error_type(error: BaseException) -> ErrorType:
    if isinstance(error, OutOfMemory):
        return "out_of_memory"
    return "invalid_output" if isinstance(error, InvalidOutput) else "transient"
