# SPDX-License-Identifier: Apache-2.0
"""How often a request was tried, and what follows from it: values and decisions, no AWS.

Receives are not attempts. Every drawing on a second or later receive is recorded before it begins, so of the receives
that are neither recorded attempts nor hand-backs only one, the first, can have been a drawing whose worker was lost.
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
    tried = _tried(history, message_id, receives)
    if tried < rules.max_attempts or _another_release_may_do_better(history, rules):
        return Draw(tried + 1)
    if receives >= RECEIVES_LIMIT or not _two_releases_needed(history, rules):
        return _give_up(history, tried)
    return HandBack(backoff(rules.backoff_seconds, tried + history.hand_backs.get(message_id, 0)))


def after_failure(history: History, number: int, receives: int, rules: Rules) -> HandBack | GiveUp:
    """What to do after attempt ``number`` failed; the history has that failure already."""
    exhausted = number >= rules.max_attempts and not _two_releases_needed(history, rules)
    if exhausted or receives >= RECEIVES_LIMIT:
        return _give_up(history, number)
    here = sum(1 for attempt in history.attempts if attempt.release_id == rules.release_id)
    return HandBack(backoff(rules.backoff_seconds, here))


def backoff(first: float, attempts: int) -> int:
    """Whole seconds, doubled with each attempt after the first, bounded."""
    doublings = min(max(attempts, 1) - 1, _MAX_DOUBLINGS)
    return round(min(_MAX_BACKOFF_SECONDS, first * float(2**doublings)))


def _tried(history: History, message_id: str, receives: int) -> int:
    unseen = receives - 1 - history.hand_backs.get(message_id, 0) - len(history.attempts)
    return len(history.attempts) + min(1, max(0, unseen))


def _releases(history: History) -> set[str]:
    return {attempt.release_id for attempt in history.attempts}


def _another_release_may_do_better(history: History, rules: Rules) -> bool:
    # Also after a release has closed: what only the candidate tried is owed one attempt by the release that stays.
    releases = _releases(history)
    return rules.release_id not in releases and len(releases) < 2 and (bool(releases) or rules.release_open)


def _two_releases_needed(history: History, rules: Rules) -> bool:
    # While a release is open, a bad candidate must not be able to burn a request by itself.
    return rules.release_open and len(_releases(history)) < 2


def _give_up(history: History, tried: int) -> GiveUp:
    last = history.attempts[-1] if history.attempts else None
    if last is None or last.error_type is None:
        return GiveUp("worker_lost", f"none of {tried} attempts ended: their workers were lost", tried)
    return GiveUp(last.error_type, f"{tried} attempts failed, the last one with: {last.message}", tried)
