# SPDX-License-Identifier: GPL-3.0-or-later
"""The counting behind the demo's claims: it must notice what it promises to notice."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.rehearsal import checks

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def at(second: float) -> str:
    return (START + dt.timedelta(seconds=second)).isoformat()


def entry(second: float, instance: str, lifecycle: str, version: str = "1.0.0", **more: t.Any) -> dict[str, t.Any]:
    base = {"time": at(second), "group": "g", "instance": instance, "event": "state", "health": "Healthy"}
    return {**base, "lifecycle": lifecycle, "image_version": version, **more}


def release(start: float, end: float, floor: int | None) -> dict[str, t.Any]:
    times = {"started_at": at(start), "finished_at": at(end)}
    plan = None if floor is None else {"floor": floor}
    return {"sequence": 1, "version": "1.1.0", "kind": "deploy", "from": {"version": "1.0.0"}, "plan": plan, **times}


REPLACEMENT = [
    entry(0, "a", "InService"),
    entry(1, "b", "InService"),
    entry(10, "c", "Pending", "1.1.0"),
    entry(11, "c", "InService", "1.1.0"),
    entry(12, "a", "Terminating:Wait"),
    entry(13, "a", "Terminated", event="terminated"),
]


def test_instances_in_service_by_version_over_time() -> None:
    samples = checks.in_service(REPLACEMENT)
    assert [dict(sample.versions) for sample in samples] == [
        {"1.0.0": 1},
        {"1.0.0": 2},
        {"1.0.0": 2, "1.1.0": 1},
        {"1.0.0": 1, "1.1.0": 1},
    ]
    assert checks.over_time(samples)[-1] == {"time": at(12), "total": 2, "versions": {"1.0.0": 1, "1.1.0": 1}}


@pytest.mark.parametrize(
    "loss",
    [
        entry(5, "a", "InService", health="Unhealthy"),
        entry(5, "a", "Terminating"),
        entry(5, "a", "Standby"),
        entry(5, "a", "InService", event="terminated"),
    ],
)
def test_each_way_out_of_service_counts(loss: dict[str, t.Any]) -> None:
    samples = checks.in_service([*REPLACEMENT[:2], loss])
    assert samples[-1].total == 1


@pytest.mark.parametrize(("floor", "ok"), [(2, True), (1, True), (3, False), (None, False)])
def test_a_release_is_held_to_its_floor(floor: int | None, ok: bool) -> None:
    (capacity,) = checks.capacities([release(5, 20, floor)], checks.in_service(REPLACEMENT))
    assert (capacity.lowest, capacity.ok) == (2, ok)
    assert checks.capacity_check(capacity).ok is ok


def test_what_is_lost_before_or_after_a_release_is_not_counted_against_it() -> None:
    after = entry(30, "b", "Terminating")
    (capacity,) = checks.capacities([release(5, 20, 2)], checks.in_service([*REPLACEMENT, after]))
    assert capacity.ok


def test_a_dip_of_a_moment_is_seen() -> None:
    dip = [entry(6, "b", "Standby"), entry(6.1, "b", "InService")]
    (capacity,) = checks.capacities([release(5, 9, 2)], checks.in_service([*REPLACEMENT[:2], *dip]))
    assert (capacity.lowest, capacity.ok) == (1, False)


def test_a_first_release_has_nothing_to_keep() -> None:
    first = {**release(-5, 20, 5), "from": None}
    assert [(one.floor, one.ok) for one in checks.capacities([first], checks.in_service(REPLACEMENT))] == [(0, True)]


@pytest.mark.parametrize(("lost", "ok"), [(["c"], True), (["a", "b"], False)])
def test_a_rollback_keeps_what_served_when_it_began(lost: list[str], ok: bool) -> None:
    back = {**release(5, 30, None), "kind": "rollback"}
    leaving = [entry(14, instance, "Terminating") for instance in lost]
    (capacity,) = checks.capacities([back], checks.in_service([*REPLACEMENT[:4], *leaving]))
    assert (capacity.floor, capacity.ok) == (2, ok)


def test_a_release_that_is_still_open_is_counted_to_the_end() -> None:
    running = {**release(5, 9, 2), "finished_at": None}
    timeline = [*REPLACEMENT, entry(500, "b", "Terminating")]
    assert [one.ok for one in checks.capacities([running], checks.in_service(timeline))] == [False]


def test_nothing_in_service_before_the_first_instance() -> None:
    assert checks.lowest([], START, START) == 0


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 3), st.booleans()), max_size=30))
def test_lowest_is_the_least_of_all_moments(events: list[tuple[float, int, bool]]) -> None:
    ordered = sorted(events, key=lambda event: event[0])
    timeline = [entry(second, f"i{n}", "InService" if up else "Standby") for second, n, up in ordered]
    serving: set[int] = set()
    least = 0  # at the start nothing serves
    for _second, number, up in ordered:
        serving = serving | {number} if up else serving - {number}
        least = min(least, len(serving))
    assert checks.lowest(checks.in_service(timeline), START - dt.timedelta(1), START + dt.timedelta(1)) == least


RESULTS = {"a": {"status": "succeeded"}, "b": {"status": "succeeded"}}
JOBS = [{"request_id": "a", "outcome": "succeeded"}, {"request_id": "b", "outcome": "succeeded"}]


def test_all_is_well() -> None:
    found = checks.count_requests(["a", "b"], RESULTS, {"a": 1, "b": 1}, JOBS)
    assert (found.accepted, found.succeeded, found.drawn_twice) == (2, 2, ())
    assert checks.request_check(found) == checks.Check(
        "one result for each request, a success", True, "2 of 2 succeeded"
    )


@pytest.mark.parametrize(
    ("accepted", "results", "writes", "named"),
    [
        (["a", "b", "c"], RESULTS, {}, "unanswered: c"),
        (["a"], RESULTS, {}, "unknown: b"),
        (["a", "b"], {**RESULTS, "b": {"status": "failed"}}, {}, "failed: b"),
        (["a", "b"], RESULTS, {"a": 2, "b": 1}, "rewritten: a"),
        (["a", "a", "b"], RESULTS, {}, "2 of 3 succeeded"),
    ],
)
def test_every_trouble_is_named(
    accepted: list[str], results: dict[str, dict[str, str]], writes: dict[str, int], named: str
) -> None:
    check = checks.request_check(checks.count_requests(accepted, results, writes, JOBS))
    assert not check.ok
    assert named in check.detail


def test_a_job_handed_back_and_drawn_elsewhere_is_not_drawn_twice() -> None:
    handed_back = {"request_id": "a", "outcome": "handed_back"}
    again = {"request_id": "b", "outcome": "succeeded"}
    found = checks.count_requests(["a", "b"], RESULTS, {}, [*JOBS, handed_back, again])
    assert found.drawn_twice == ("b",)
    assert found.ok


def test_a_value_that_differs_is_shown_with_what_it_should_be() -> None:
    assert checks.equal_check("stable", "1.1.0", "1.0.0") == checks.Check("stable", False, "1.1.0, not 1.0.0")
    assert checks.equal_check("stable", "1.0.0", "1.0.0").ok


def test_times_without_a_zone_are_utc() -> None:
    assert checks.moment("2026-01-01T00:00:00") == START == checks.moment("2026-01-01T00:00:00Z")
