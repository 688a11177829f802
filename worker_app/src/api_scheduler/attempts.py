# SPDX-License-Identifier: Apache-2.0
"""How often a request was tried, and what follows from it: values and decisions, no AWS.

Attempts are counted for each release: what one has tried says nothing about what another can do. Receives are not
attempts. Every drawing on a second or later receive is recorded before it begins, so of the receives that are neither
recorded attempts nor hand-backs only one, the first, can have been a drawing whose worker was lost.
"""

from __future__ import annotations

import dataclasses
import typing as t

from api_scheduler.documents.result import ErrorType

RECEIVES_LIMIT = 40
"""From here on a request is answered instead of handed back: the queue itself drops it at its fiftieth receive."""
_MAX_DOUBLINGS = 5
_MAX_BACKOFF_SECONDS = 900.0


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One attempt that was recorded. ``error_type`` is None while it has not ended."""

    release_id: str
    instance_id: str
    started_at: str
    error_type: ErrorType | None = None
    message: str | None = None


_ATTEMPT = tuple(field.name for field in dataclasses.fields(Attempt))


@dataclasses.dataclass(frozen=True)
class History:
    """What ``state/<id>.json`` holds. Hand-backs are counted for each message id."""

    attempts: tuple[Attempt, ...] = ()
    hand_backs: t.Mapping[str, int] = dataclasses.field(default_factory=dict)

    def document(self) -> dict[str, t.Any]:
        """As it is written."""
        return {
            "schema": 1,
            "attempts": [dataclasses.asdict(one) for one in self.attempts],
            "hand_backs": dict(self.hand_backs),
        }

    def started(self, attempt: Attempt) -> History:
        """With one more attempt under way."""
        return dataclasses.replace(self, attempts=(*self.attempts, attempt))

    def ended(self, attempt: Attempt, error_type: ErrorType, message: str) -> History:
        """With that attempt ended badly, whether or not its start was recorded."""
        ended = dataclasses.replace(attempt, error_type=error_type, message=message[:500])
        return dataclasses.replace(self, attempts=(*self._without(attempt), ended))

    def handed_back(self, message_id: str, attempt: Attempt | None) -> History:
        """With one receive that was no attempt."""
        hand_backs = {**self.hand_backs, message_id: self.hand_backs.get(message_id, 0) + 1}
        return History(self._without(attempt) if attempt else self.attempts, hand_backs)

    def _without(self, attempt: Attempt) -> tuple[Attempt, ...]:
        return tuple(one for one in self.attempts if one != attempt)


def read(document: t.Any) -> History:
    """The history in a document; an empty one where it cannot be read, for another version may have written it."""
    try:
        return History(
            tuple(Attempt(**{name: one[name] for name in _ATTEMPT if name in one}) for one in document["attempts"]),
            {str(message_id): int(count) for message_id, count in document["hand_backs"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return History()


@dataclasses.dataclass(frozen=True)
class Rules:
    """What the decisions depend on besides the history."""

    max_attempts: int
    backoff_seconds: float
    release_id: str
    release_open: bool


@dataclasses.dataclass(frozen=True)
class Draw:
    """Go on and draw; ``number`` of this attempt, from 1."""

    number: int


@dataclasses.dataclass(frozen=True)
class HandBack:
    """Let another worker try, after so many seconds."""

    seconds: int


@dataclasses.dataclass(frozen=True)
class GiveUp:
    """Answer with this failure."""

    error_type: ErrorType
    message: str
    attempts: int


def before_drawing(history: History, message_id: str, receives: int, rules: Rules) -> Draw | HandBack | GiveUp:
    """What to do with a message that was just received, for the ``receives``-th time."""
    unseen = _unseen(history, message_id, receives)
    tried = len(history.attempts) + unseen
    # While a release is open every attempt is recorded: an unseen one was made before, by a release of that time.
    here = _tried_by(history, rules.release_id) + (0 if rules.release_open else unseen)
    if here < rules.max_attempts:
        return Draw(tried + 1)
    if receives >= RECEIVES_LIMIT or not _another_must_try(history, rules):
        return _give_up(history, tried)
    return HandBack(backoff(rules.backoff_seconds, here + history.hand_backs.get(message_id, 0)))


def alone(history: History, message_id: str, receives: int, release_id: str) -> bool:
    """Whether to draw it with no other job beside it: it may have been what ended a worker, or filled its memory.

    What hangs the card, or ends a step for all that are in it, fails its neighbours with it: those are suspects too,
    and found innocent one by one. What another release failed is no suspect here, or every replay would be drawn alone.
    """
    suspicious = (None, "out_of_memory")
    failed_here = any(one.release_id == release_id or one.error_type in suspicious for one in history.attempts)
    return failed_here or _unseen(history, message_id, receives) > 0


def after_failure(history: History, number: int, receives: int, rules: Rules) -> HandBack | GiveUp:
    """What to do after attempt ``number`` failed; the history has that failure already."""
    # What is not recorded of the attempts so far was the first one, in quiet times, and counts for this release.
    unseen = 0 if rules.release_open else max(0, number - len(history.attempts))
    here = _tried_by(history, rules.release_id) + unseen
    exhausted = here >= rules.max_attempts and not _another_must_try(history, rules)
    if exhausted or receives >= RECEIVES_LIMIT:
        return _give_up(history, number)
    return HandBack(backoff(rules.backoff_seconds, here))


def backoff(first: float, attempts: int) -> int:
    """Whole seconds, doubled with each attempt after the first, bounded."""
    doublings = min(max(attempts, 1) - 1, _MAX_DOUBLINGS)
    return round(min(_MAX_BACKOFF_SECONDS, first * float(2**doublings)))


def _unseen(history: History, message_id: str, receives: int) -> int:
    """Attempts that were not recorded: at most the first one, whose worker was lost."""
    return min(1, max(0, receives - 1 - history.hand_backs.get(message_id, 0) - len(history.attempts)))


def _tried_by(history: History, release_id: str) -> int:
    return sum(attempt.release_id == release_id for attempt in history.attempts)


def _another_must_try(history: History, rules: Rules) -> bool:
    """While a release is open, a request fails for good only when two releases have used up their attempts at it."""
    releases = {attempt.release_id for attempt in history.attempts}
    used_up = [name for name in releases if _tried_by(history, name) >= rules.max_attempts]
    return rules.release_open and len(used_up) < 2


def _give_up(history: History, tried: int) -> GiveUp:
    last = history.attempts[-1] if history.attempts else None
    if last is None or last.error_type is None:
        return GiveUp("worker_lost", f"none of {tried} attempts ended: their workers were lost", tried)
    return GiveUp(last.error_type, f"{tried} attempts failed, the last one with: {last.message}", tried)
