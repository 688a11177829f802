# SPDX-License-Identifier: Apache-2.0
"""What waits for what among the messages in hand."""

from __future__ import annotations

import datetime as dt

import pytest

from api_scheduler.hands import Hand, Hands, Stage
from api_scheduler.queues import Message
from tests.worker.moved_clock import MovedClock

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HANG_SECONDS = 120.0


def taken(hands: Hands, name: str) -> Hand:
    return hands.take(Message("url", name, f"handle-{name}", "{}", 1, NOW, NOW, False))


def test_one_message_at_a_time_answers_a_request() -> None:
    hands = Hands(MovedClock(), HANG_SECONDS)
    first, second = taken(hands, "a"), taken(hands, "b")
    with hands.working(first):
        assert hands.claim(first, "x") is None
        assert hands.claim(second, "x") is first
        assert hands.claim(second, "y") is None
    assert hands.claim(second, "x") is None


def test_a_suspect_waits_until_those_before_it_are_answered_and_all_others_wait_until_it_is() -> None:
    hands = Hands(MovedClock(), HANG_SECONDS)
    before, suspect, after = (taken(hands, name) for name in ("before", "suspect", "after"))
    with hands.working(before):
        assert hands.may_draw(before, alone=False)
        assert not hands.may_draw(suspect, alone=True)
        hands.drawn(before)
        assert not hands.may_draw(suspect, alone=True)
        assert not hands.may_draw(after, alone=False)
    with hands.working(suspect):
        assert hands.may_draw(suspect, alone=True)
        assert not hands.may_draw(after, alone=False)
        hands.drawn(suspect)
        assert not hands.may_draw(after, alone=False)
        assert hands.one_alone()
    assert not hands.one_alone()
    assert hands.may_draw(after, alone=False)
    assert hands.count(Stage.DRAWING) == 1


@pytest.mark.parametrize("hanging", [True, False], ids=["a suspect's", "another's"])
def test_an_answer_that_hangs_holds_nobody_back(hanging: bool) -> None:
    clock = MovedClock()
    hands = Hands(clock, HANG_SECONDS)
    before, after = (taken(hands, name) for name in ("before", "after"))
    assert hands.may_draw(before, alone=hanging)
    hands.drawn(before)
    clock.seconds += HANG_SECONDS - 1
    assert not hands.may_draw(after, alone=True)
    clock.seconds += 1
    assert hands.may_draw(after, alone=True)
