# SPDX-License-Identifier: Apache-2.0
"""The decisions about attempts, leases, Spot notices and settings: values in, values out."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_scheduler import attempts, leases
from api_scheduler import settings as settings_module
from api_scheduler.attempts import Attempt, Draw, GiveUp, HandBack, History, Rules
from api_scheduler.hooks import seconds_left
from api_scheduler.settings import InvalidSetting

QUIET = Rules(max_attempts=3, backoff_seconds=10, release_id="new", release_open=False)
OPEN = Rules(max_attempts=3, backoff_seconds=10, release_id="new", release_open=True)


def failed(release: str, number: int = 0) -> Attempt:
    return Attempt(release, "i-1", f"t{number}", "transient", "boom")


def history(*releases: str, hand_backs: int = 0) -> History:
    return History(tuple(failed(name, number) for number, name in enumerate(releases)), {"m": hand_backs})


@pytest.mark.parametrize(
    ("past", "receives", "rules", "expected"),
    [
        (history(), 1, QUIET, Draw(1)),
        (history(), 2, QUIET, Draw(2)),
        (history(), 6, QUIET, Draw(2)),
        (history(), 6, OPEN, Draw(2)),
        (history(hand_backs=5), 6, QUIET, Draw(1)),
        (history("old"), 2, QUIET, Draw(2)),
        (history("old", "new", "new"), 4, QUIET, Draw(4)),
        (history("old", "old", "old"), 4, OPEN, Draw(4)),
        (history("old", "old", "old", "new", "new"), 6, QUIET, Draw(6)),
        (history("new", "new", "new"), 4, OPEN, HandBack(40)),
        (history("old", "old", "new", "new", "new"), 6, OPEN, HandBack(40)),
        (history("new", "new", "new"), 39, OPEN, HandBack(40)),
        (history("new", "new", "new", hand_backs=35), 39, OPEN, HandBack(320)),
    ],
)
def test_before_drawing(past: History, receives: int, rules: Rules, expected: object) -> None:
    assert attempts.before_drawing(past, "m", receives, rules) == expected


@pytest.mark.parametrize(
    ("past", "receives", "expected"),
    [
        (history(), 1, False),
        (history(hand_backs=3), 4, False),
        (history("old"), 2, False),
        (history("new"), 2, True),  # it may have hung the card for all that were drawn beside it
        (history(), 2, True),  # its worker was lost
        (History((dataclasses.replace(failed("old"), error_type=None),)), 2, True),
        (History((dataclasses.replace(failed("old"), error_type="out_of_memory"),)), 2, True),
    ],
)
def test_a_suspect_is_drawn_alone(past: History, receives: int, expected: bool) -> None:
    assert attempts.alone(past, "m", receives, "new") is expected


@pytest.mark.parametrize(
    ("past", "receives", "rules"),
    [
        (history("new", "new", "new"), 4, QUIET),
        (history("new", "new"), 4, QUIET),  # the first attempt was not recorded
        (history("old", "new", "new", "new"), 5, QUIET),
        (history("one", "new", "one", "new", "one", "new"), 7, OPEN),
        (history("new", "new", "new"), attempts.RECEIVES_LIMIT, OPEN),
    ],
)
def test_the_attempts_are_used_up(past: History, receives: int, rules: Rules) -> None:
    assert isinstance(attempts.before_drawing(past, "m", receives, rules), GiveUp)


def test_attempts_that_never_ended_are_lost_workers() -> None:
    # The first attempt was not recorded, the two others did not end.
    past = History((Attempt("new", "i-1", "t1"), Attempt("new", "i-2", "t2")))
    decision = attempts.before_drawing(past, "m", 4, QUIET)
    assert isinstance(decision, GiveUp)
    assert (decision.error_type, decision.attempts) == ("worker_lost", 3)


def test_the_last_error_is_the_one_given() -> None:
    decision = attempts.before_drawing(history("old", "new", "new", "new"), "m", 5, QUIET)
    assert isinstance(decision, GiveUp)
    assert (decision.error_type, "boom" in decision.message) == ("transient", True)


@pytest.mark.parametrize(
    ("past", "number", "rules", "final"),
    [
        (history("new"), 1, QUIET, False),
        (history("new", "new", "new"), 3, QUIET, True),
        (history("new", "new", "new"), 3, OPEN, False),
        (history("old", "new", "new"), 3, QUIET, False),
        (history("new", "new"), 3, QUIET, True),
        (history("old", "new", "new"), 3, OPEN, False),
        (history("old", "new", "new", "new"), 4, OPEN, False),
        (history("old", "old", "old", "new", "new", "new"), 6, OPEN, True),
    ],
)
def test_after_a_failure(past: History, number: int, rules: Rules, final: bool) -> None:
    assert isinstance(attempts.after_failure(past, number, number, rules), GiveUp) is final


def test_a_failure_at_the_limit_of_receives_is_final() -> None:
    assert isinstance(attempts.after_failure(history("new"), 1, attempts.RECEIVES_LIMIT, OPEN), GiveUp)


def test_backoff_doubles_and_is_bounded() -> None:
    assert [attempts.backoff(10, count) for count in (0, 1, 2, 3, 6, 60)] == [10, 10, 20, 40, 320, 320]
    assert attempts.backoff(900, 60) == 900


def test_a_history_survives_writing_and_reading() -> None:
    past = history("a", "b", hand_backs=2)
    assert attempts.read(past.document()) == past
    assert attempts.read(None) == History()


def test_a_history_with_more_in_it_is_read() -> None:
    past = history("a", hand_backs=1)
    document = past.document()
    document["attempts"][0]["card"] = "T4"
    assert attempts.read({**document, "schema": 2, "more": 1}) == past


@pytest.mark.parametrize(
    "document", [{}, [], "text", {"attempts": [{}], "hand_backs": {}}, {"attempts": [], "hand_backs": {"m": "many"}}]
)
def test_a_history_that_cannot_be_read_is_empty(document: object) -> None:
    assert attempts.read(document) == History()


def test_a_hand_back_takes_its_attempt_out() -> None:
    past = history().started(failed("new"))
    assert past.handed_back("m", failed("new")) == History((), {"m": 1})


@pytest.mark.parametrize(
    ("held", "hangs", "extended"), [(0, False, True), (43139, False, True), (43140, False, False), (10, True, False)]
)
def test_leases_are_bounded(held: float, hangs: bool, extended: bool) -> None:
    assert leases.may_extend(held, hangs, 60) is extended


@pytest.mark.parametrize(
    ("notice", "seconds"),
    [
        ('{"action": "terminate", "time": "2026-01-01T00:01:00Z"}', 50),
        ('{"action": "terminate", "time": "2025-01-01T00:01:00Z"}', 0),
        ("nonsense", 110),
        ("{}", 110),
        ("[]", 110),
    ],
)
def test_a_spot_notice_leaves_so_many_seconds(notice: str, seconds: float) -> None:
    assert seconds_left(notice, dt.datetime(2026, 1, 1, tzinfo=dt.UTC)) == seconds


COMPLETE = {
    "SD_DEPLOYMENT_ID": "demo",
    "SD_IMAGE_VERSION": "1",
    "SD_RELEASE_ID": "r",
    "SD_TASK_QUEUE": "q",
    "SD_DEAD_LETTER_QUEUE": "d",
    "SD_BUCKET": "b",
    "SD_ENGINE": "noop",
}


def test_settings_have_safe_defaults() -> None:
    settings = settings_module.read(COMPLETE)
    assert (settings.visibility_seconds, settings.wait_seconds, settings.max_attempts) == (60, 20, 3)
    assert settings.status_parameter == "/sd-inference/demo/deployment-status"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SD_BUCKET", ""),
        ("SD_ENGINE", "magic"),
        ("SD_HTTP_PORT", "http"),
        ("SD_VISIBILITY_SECONDS", "0"),
        ("SD_BACKOFF_SECONDS", "soon"),
        ("SD_METRICS_SECONDS", "nan"),
        ("SD_MAX_STEPS", "0"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(name: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=name) as wrong:
        settings_module.read({**COMPLETE, name: value})
    assert repr(value) in str(wrong.value)


@dataclasses.dataclass
class Life:
    """A request that fails wherever it is drawn, as the workers of two releases meet it."""

    past: History = dataclasses.field(default_factory=History)
    receives: int = 0
    drawn: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    gave_up: GiveUp | None = None

    def meet(self, release: str, is_open: bool, killed: bool) -> None:
        """One delivery to a worker of that release, which fails the request or is killed while it draws."""
        rules = Rules(3, 10, release, is_open)
        self.receives += 1
        decision = attempts.before_drawing(self.past, "m", self.receives, rules)
        if isinstance(decision, Draw):
            decision = self._draw(release, rules, decision.number, killed)
        elif isinstance(decision, HandBack):
            self.past = self.past.handed_back("m", None)
        self.gave_up = decision if isinstance(decision, GiveUp) else None

    def _draw(self, release: str, rules: Rules, number: int, killed: bool) -> HandBack | GiveUp | None:
        self.drawn[release] += 1
        attempt = Attempt(release, "i-1", f"t{self.receives}")
        if self.receives > 1 or rules.release_open:
            self.past = self.past.started(attempt)
        if killed:
            return None
        self.past = self.past.ended(attempt, "transient", "boom")
        return attempts.after_failure(self.past, number, self.receives, rules)


MEETINGS = st.lists(st.tuples(st.sampled_from(["stable", "candidate"]), st.booleans()), max_size=60)


@given(MEETINGS)
def test_while_a_release_is_open_no_release_burns_a_request_by_itself(meetings: list[tuple[str, bool]]) -> None:
    life = Life()
    for release, killed in meetings:
        life.meet(release, True, killed)
        if life.gave_up is not None:
            break
    assert max(life.drawn.values(), default=0) <= 3
    if life.gave_up is not None and life.receives < attempts.RECEIVES_LIMIT:
        assert life.drawn == {"stable": 3, "candidate": 3}
    if life.receives >= attempts.RECEIVES_LIMIT + 6:
        assert life.gave_up is not None


@given(MEETINGS, st.integers(0, 20))
def test_after_a_rollback_stable_has_all_its_attempts(meetings: list[tuple[str, bool]], killed: int) -> None:
    life = Life()
    for _release, dies in meetings[:20]:
        life.meet("candidate", True, dies)
    assert life.gave_up is None
    for number in range(4):
        life.meet("stable", False, bool(killed >> number & 1))
        if life.gave_up is not None:
            break
    assert life.drawn["stable"] == 3
    assert life.gave_up is not None
