# SPDX-License-Identifier: GPL-3.0-or-later
"""Replay: how far back, which keys, which words. Values in, values out."""

from __future__ import annotations

import datetime as dt

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._release import replay
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger, Release
from ansible_collections.diffusion.fleet.plugins.module_utils._release.replay import Failed, Failures

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
CANDIDATE = Release("1.2.0", "sha256:1", "aaaaaaaaaaaa")


def ledger(replayed: int = 0, hours: float | None = None) -> Ledger:
    """Of a rollback from 1.2.0, whose release began so many hours ago."""
    started = None if hours is None else (NOW - dt.timedelta(hours=hours)).isoformat()
    return Ledger(candidate=CANDIDATE, replayed=replayed, started_at=started)


def failures(count: int) -> Failures:
    """So many."""
    return Failures(tuple(Failed(f"key{number}", "aaaaaaaaaaaa", f"id{number}") for number in range(count)))


@pytest.mark.parametrize(("started", "lookback", "hours"), [(None, 24, 24), (1, 24, 24), (72, 24, 72), (1, 0, 1)])
def test_an_open_release_is_replayed_whole_and_a_stable_one_for_a_while(
    started: float | None, lookback: int, hours: int
) -> None:
    found = replay.since(ledger(hours=started), NOW, lookback * 3600)
    assert found == NOW - dt.timedelta(hours=hours)


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("state/failed/aaaaaaaaaaaa/20261123T120000Z/order-1/0f0f", "order-1"),
        ("state/failed/aaaaaaaaaaaa/20261123T120000Z/order-1", None),
        ("state/failed/aaaaaaaaaaaa/20261123T120000Z//0f0f", None),
        ("state/failed/aaaaaaaaaaaa/note.txt", None),
        ("state/order-1.json", None),
    ],
)
def test_only_keys_of_kept_bodies_are_read(key: str, found: str | None) -> None:
    assert replay.parse_key(key) == (Failed(key, "aaaaaaaaaaaa", found) if found else None)


@pytest.mark.parametrize(
    ("replayed", "left", "line"),
    [
        (0, 1, "replaying 1 request that 1.2.0 failed"),
        (0, 12, "replaying 12 requests that 1.2.0 failed"),
        (40, 5, "replaying 45 requests that 1.2.0 failed, 40 sent"),
        (0, replay.LOOK, "replaying at least 1000 requests that 1.2.0 failed"),
    ],
)
def test_the_line_says_how_many(replayed: int, left: int, line: str) -> None:
    assert replay.count_text(ledger(replayed), failures(left)) == line


def test_the_reason_says_what_became_of_it() -> None:
    assert replay.outcome_text(ledger(), Failures()) == ""
    assert replay.outcome_text(ledger(1), Failures()) == "; 1 failed request sent again"
    sentence = "; 2 failed requests sent again (warning: nothing more is replayed: no)"
    assert replay.outcome_text(ledger(2), Failures(trouble="no")) == sentence
