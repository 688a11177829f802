# SPDX-License-Identifier: GPL-3.0-or-later
"""The count of a soak sees each thing that can be wrong, and its plan holds requests of every kind."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

import pytest

from campaign.soak.blows import EVERY, Ills, schedule
from campaign.soak.count import Count, Seen, Sent, count
from campaign.soak.requests import POISON, SHARES, Request, plan


@functools.cache
def good() -> tuple[list[Sent], Seen]:
    """A plan, and what is found when each request ended as it must."""
    sent = [Sent(request, (f"message-{request.number}",)) for request in plan(300, 5)]
    results: dict[str, dict[str, t.Any]] = {}
    for one in sent:
        if one.answer_id in results:  # the second body under one id
            results[one.message_ids[0]] = {"status": "failed", "error": {"type": "id_conflict"}}
        else:
            results[one.answer_id] = result_of(one.request, one.answer_id)
    poison = {one.answer_id: 1 for one in sent if one.request.end == "poison"}
    pictures = {image["key"] for result in results.values() for image in result.get("images", ())}
    drawn = {one.request.number: 1 for one in sent if one.request.end == "succeeded"}
    once = dict.fromkeys(results, 1)
    return sent, Seen(results, once, pictures, once, poison, 0, drawn)


def result_of(request: Request, name: str) -> dict[str, t.Any]:
    """A result as it must be."""
    made: dict[str, t.Any] = {"status": "failed", "body_sha256": request.sha256, "images": []}
    if request.end == "invalid":
        made["error"] = {"type": "invalid_request", "message": f"{request.field}: is wrong"}
    elif request.end == "poison":
        made["error"] = {"type": POISON[request.kind], "message": "3 attempts failed"}
    else:
        made["status"] = request.end
        made["images"] = [{"key": f"results/{name}/{number}.png"} for number in range(request.pictures)]
    return made


def counted(**other: t.Any) -> Count:
    """The count with something found that should not be."""
    sent, seen = good()
    return count(sent, dataclasses.replace(seen, **other), 0.02)


def named(kind: str) -> str:
    """The id under which a request of that kind is answered."""
    return next(one.answer_id for one in good()[0] if one.request.kind == kind)


def test_nothing_is_wrong_with_what_is_right() -> None:
    assert counted().wrong == []


@pytest.mark.parametrize(
    "kind", ["plain", "anonymous", "several", "stale", "invalid", "twin", "rival", "poison lethal"]
)
def test_a_lost_request_is_counted(kind: str) -> None:
    results = {name: result for name, result in good()[1].results.items() if name != named(kind)}
    made = counted(results=results, writes=dict.fromkeys(results, 1))
    assert f"{named(kind)} ({kind}): lost" in made.wrong[0]
    assert made.figures["lost"] == ("2" if kind == "rival" else "1")


@pytest.mark.parametrize(
    ("kind", "change", "told"),
    [
        ("plain", {"status": "failed", "error": {"type": "worker_lost", "message": "m"}}, "not succeeded"),
        ("plain", {"body_sha256": "another"}, "another body"),
        ("several", {"images": []}, "0 pictures of"),
        ("several", {"images": [{"key": f"results/x/{number}.png"} for number in range(4)]}, "of them missing"),
        ("stale", {"status": "succeeded"}, "not expired"),
        ("invalid", {"error": {"type": "invalid_request", "message": "something is wrong"}}, "not refused for"),
        ("invalid", {"status": "succeeded"}, "not refused for"),
        ("poison raises", {"status": "succeeded"}, "not failed as"),
        ("poison memory", {"error": {"type": "invalid_request", "message": "m"}}, "not failed as"),
    ],
)
def test_a_wrong_end_is_told(kind: str, change: dict[str, t.Any], told: str) -> None:
    results = dict(good()[1].results)
    results[named(kind)] = {**results[named(kind)], **change}
    assert told in counted(results=results).wrong[0]


def test_what_happened_more_or_less_often_than_it_may_is_told() -> None:
    plain, seen = named("plain"), good()[1]
    assert f"{plain}: written 2 times" in counted(writes={**seen.writes, plain: 2}).wrong
    assert f"{plain}: no notice" in counted(notices={name: 1 for name in seen.notices if name != plain}).wrong
    assert f"{plain}: a dead letter that is no poison" in counted(dead={**seen.dead, plain: 1}).wrong
    assert len([text for text in counted(dead={}).wrong if "poison without a dead letter" in text]) == len(seen.dead)
    assert "3 messages stuck in the queue" in counted(left=3).wrong
    assert "3.64% drawn twice" in counted(drawn={**seen.drawn, **dict.fromkeys(list(seen.drawn)[:9], 2)}).wrong
    stranger = {**seen.results, "stranger": {"status": "succeeded"}}
    assert "stranger: a result that nobody asked for" in counted(results=stranger).wrong


def test_a_plan_is_of_its_seed_and_has_requests_of_every_kind() -> None:
    made = plan(2000, 3)
    assert made == plan(2000, 3) != plan(2000, 4)
    kinds = [request.kind for request in made]
    assert len(made) == 2000
    assert {"plain", "garbage", *SHARES} == set(kinds)
    assert kinds.count("rival") == 120
    assert {request.kind for request in plan(150, 0)} >= set(SHARES) - {"poison hangs"}


def test_every_blow_is_dealt_within_its_time() -> None:
    blows = schedule(20, 0)
    assert {blow.kind for blow in blows} == set(EVERY)
    assert all(0 < blow.at < 20 and 0 <= blow.pick < 1 for blow in blows)


def test_ills_hit_what_the_worker_calls_and_never_a_client_that_sends() -> None:
    ills = Ills(0, "sd-task-dlq-x")
    drawn = [fault for _unused in range(2000) for fault in ills.draw()]
    assert all(fault.get("match") == "sd-task-dlq-x" for fault in drawn if fault["operation"] == "SendMessage")
    asked = set(ills.asked)
    for service in ("sqs", "s3"):
        assert asked >= {f"{service} {kind}" for kind in ("throttle", "error500", "lost_reply", "delay", "outage")}
