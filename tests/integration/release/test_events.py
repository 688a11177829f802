# SPDX-License-Identifier: GPL-3.0-or-later
"""The events of a release: what is said, in which shape, and what a crash repeats."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from local_aws.harness import Harness
from tests.support.fleet import ACCOUNT, Fleet, make_fleet
from tests.support.topic import Listener

DOCS = pathlib.Path(__file__).parents[3] / "docs" / "events.md"
SHAPE = {"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"}
"""Fields of an event (EventBridge user guide, event structure reference)."""


@pytest.fixture
def fleet(harness: Harness) -> Fleet:
    """A fleet of 2 that runs 1.0.0, with 1.1.0 pushed."""
    return make_fleet(harness, 2)


@pytest.fixture
def listener(fleet: Fleet) -> Listener:
    """Somebody who listens from here on."""
    return Listener(fleet, fleet.names.releases_topic("us-east-1", ACCOUNT))


def said(events: list[dict[str, t.Any]]) -> list[str]:
    """What happened, in order."""
    steps = [event["detail"].get("step", {}).get("number", "") for event in events]
    return [f"{event['detail-type']} {step}".strip() for event, step in zip(events, steps, strict=True)]


def test_a_release_tells_each_transition_with_its_numbers(fleet: Fleet, listener: Listener) -> None:
    fleet.release(version="1.1.0", percentage="50")
    events = listener.events()
    assert said(events) == [
        "Release Started",
        "Release Step Reached 1",
        "Release Step Passed 1",
        "Release Step Reached 2",
        "Release Step Passed 2",
        "Release Succeeded",
    ]
    assert [event["detail"]["candidate"]["version"] for event in events] == ["1.1.0"] * 6
    assert [event["detail"]["sequence"] for event in events] == [2] * 6
    passed = events[2]["detail"]
    assert passed["step"] == {"number": 1, "of": 2, "percentage": 50, "planned": 1, "actual": 1, "in_service": 2}
    assert passed["verdict"]["outcome"] == "pass"
    assert passed["verdict"]["candidate"]["jobs"] >= 5
    ended = events[-1]["detail"]
    assert (ended["stable"]["version"], ended["previous"]["version"]) == ("1.1.0", "1.0.0")
    look_at_the_shape(fleet, events)
    example = documented()
    assert example["detail"].pop("verdict").keys() <= passed.pop("verdict").keys()
    assert skeleton(example) == skeleton(events[2])


def look_at_the_shape(fleet: Fleet, events: list[dict[str, t.Any]]) -> None:
    """Every field of EventBridge's, and nothing else outside of the detail."""
    for event in events:
        assert set(event) == SHAPE
        assert (event["version"], event["source"]) == ("0", "diffusion.fleet")
        assert (event["account"], event["region"]) == (ACCOUNT, "us-east-1")
        assert event["resources"] == [fleet.group()["AutoScalingGroupARN"]]
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", event["id"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["time"])


def documented() -> dict[str, t.Any]:
    """The example of the guide."""
    block = re.search(r"```json\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    if block is None:
        raise AssertionError(f"{DOCS} shows no event")
    return dict(json.loads(block.group(1)))


def test_a_bad_candidate_and_a_rollback_by_hand_are_told(fleet: Fleet, listener: Listener) -> None:
    fleet.traffic.failing.add("1.1.0")
    with pytest.raises(FleetError):
        fleet.release(version="1.1.0", percentage="20")
    events = listener.events()
    assert said(events) == [
        "Release Started",
        "Release Step Reached 1",
        "Release Rolling Back 1",
        "Release Rolled Back",
    ]
    assert events[2]["detail"]["verdict"]["outcome"] == "fail"
    assert events[2]["detail"]["verdict"]["candidate"]["failed"] >= 2
    assert events[3]["detail"]["stable"]["version"] == "1.0.0"

    fleet.build("1.2.0")
    fleet.release(version="1.2.0", percentage="100")
    listener.events()
    fleet.release(state="rolled_back", reason="too dark")
    by_hand = listener.events()
    assert said(by_hand) == ["Release Rolling Back", "Release Rolled Back"]
    assert by_hand[0]["detail"]["candidate"]["version"] == "1.2.0"
    assert by_hand[0]["detail"]["stable"]["version"] == "1.0.0"
    assert by_hand[0]["detail"]["reason"] == "too dark"


def test_a_pause_and_its_promotion_are_told(fleet: Fleet, listener: Listener) -> None:
    fleet.release(version="1.1.0", steps=[{"percentage": 50, "pause": True}, 100])
    events = listener.events()
    assert said(events)[2:] == ["Release Step Passed 1", "Release Paused 1"]
    assert "as planned" in events[-1]["detail"]["reason"]
    fleet.release(state="promoted", owner="grace")
    events = listener.events()
    assert said(events) == [
        "Release Promoted 1",
        "Release Step Reached 2",
        "Release Step Passed 2",
        "Release Succeeded",
    ]
    assert events[0]["detail"]["by"].startswith("grace@")


def test_a_run_that_takes_over_says_so_and_repeats_the_last_transition_under_its_id(
    fleet: Fleet, listener: Listener
) -> None:
    fleet.start(lambda line: "reached, judging" in line, version="1.1.0", percentage="50")
    before = listener.events()
    fleet.release(version="1.1.0", percentage="50", owner="grace")
    after = listener.events()
    assert said(after)[:2] == ["Release Step Reached 1", "Release Adopted"]
    assert after[0]["id"] == before[-1]["id"]
    assert after[1]["detail"]["from"].startswith("tester@")
    assert after[1]["detail"]["by"].startswith("grace@")
    identities = [event["id"] for event in before + after]
    assert len(identities) == len(set(identities)) + 1


def test_the_end_that_a_dead_run_could_not_tell_is_told_by_the_next(fleet: Fleet, listener: Listener) -> None:
    fleet.harness.world.faults.replace([{"kind": "denied", "service": "sns", "operation": "Publish"}])
    fleet.start(lambda line: line == "1.1.0 is stable", version="1.1.0", percentage="100")
    fleet.harness.world.faults.clear()
    assert listener.events() == []
    fleet.release(state="rolled_back")
    assert said(listener.events()) == ["Release Succeeded", "Release Rolling Back", "Release Rolled Back"]


def test_a_topic_that_is_gone_never_stops_a_release(fleet: Fleet) -> None:
    fleet.client("sns").delete_topic(TopicArn=fleet.names.releases_topic("us-east-1", ACCOUNT))
    result = fleet.release(version="1.1.0", percentage="50")
    assert result["outcome"] == "succeeded"
    assert result["lines"][-1].count("warning: Cannot publish the release event") == 1


def skeleton(value: t.Any) -> t.Any:
    """The names in a document, without what they say."""
    if isinstance(value, dict):
        return {key: skeleton(item) for key, item in value.items()}
    return None
