# SPDX-License-Identifier: GPL-3.0-or-later
"""Replay: what a rejected release has failed is sent again, once everything runs the stable release."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Release
from tests.support import failures
from tests.support.fleet import ACCOUNT, TIMING, Fleet

REFUSING = {"version": "1.1.0", "percentage": "20"}


@pytest.fixture
def refusing(fleet: Fleet) -> Fleet:
    """A fleet of 5 on 1.0.0, and a 1.1.0 that refuses every request."""
    fleet.traffic.refusing.add("1.1.0")
    return fleet


def start(fleet: Fleet, until: str) -> list[str]:
    """Release 1.1.0 by a run that dies when it says that."""
    return fleet.start(lambda line: until in line, **REFUSING)


def sent_once(fleet: Fleet) -> dict[str, dict[str, t.Any]]:
    """The messages in the task queue, by the id that they are to be answered under; each of them only once."""
    found = failures.sent_again(fleet)
    assert {len(rows) for rows in found.values()} <= {1}
    return {name: rows[0] for name, rows in found.items()}


def release_id(fleet: Fleet) -> str:
    """Of the stable release."""
    return t.cast(Release, fleet.ledger.stable).release_id


def record(fleet: Fleet, sequence: int) -> dict[str, t.Any]:
    """The history of one release."""
    key = f"releases/{sequence:06d}.json"
    found = fleet.client("s3").get_object(Bucket=fleet.names.bucket(ACCOUNT), Key=key)
    return dict(json.loads(found["Body"].read()))


def test_what_the_rejected_release_failed_is_sent_again(refusing: Fleet) -> None:
    said = start(refusing, "going back")
    assert failures.kept(refusing) != []
    assert sent_once(refusing) == {}, "nothing before everything runs the stable release"
    said += refusing.release(state="rolled_back")["lines"]

    messages, count = sent_once(refusing), len(refusing.traffic.refused)
    assert count > 1
    assert {name: row["Body"] for name, row in messages.items()} == refusing.traffic.refused
    rejected = refusing.ledger.rejected[0].release_id
    assert {failures.attribute(row, "replay_of") for row in messages.values()} == {rejected}
    assert failures.kept(refusing) == []
    assert f"replaying {count} requests that 1.1.0 failed" in said
    assert record(refusing, 2)["replayed"] == count
    assert f"; {count} failed requests sent again" in record(refusing, 2)["reason"]
    assert refusing.versions() == ["1.0.0"] * 5


def test_many_are_sent_in_batches_and_a_run_that_dies_is_followed_by_one_that_sends_the_rest(refusing: Fleet) -> None:
    refusing.traffic.jobs_per_second = 5.0
    start(refusing, "replaying")
    total = len(refusing.traffic.refused)
    assert 0 < refusing.ledger.replayed < total / 2
    refusing.release(state="rolled_back")
    assert sent_once(refusing).keys() == refusing.traffic.refused.keys()
    assert record(refusing, 2)["replayed"] == total


def test_not_when_it_is_not_wanted(refusing: Fleet) -> None:
    with pytest.raises(FleetError):
        refusing.release(**REFUSING, replay=False)
    assert sent_once(refusing) == {}
    assert len(failures.kept(refusing)) == len(refusing.traffic.refused)
    assert "replayed" not in record(refusing, 2)


def test_a_release_that_was_stable_is_replayed_for_as_far_back_as_asked(fleet: Fleet) -> None:
    before = release_id(fleet)
    by_stable = fleet.fail(before, "by the release that comes back")
    fleet.release(version="1.1.0", percentage="100")
    left = release_id(fleet)
    old = fleet.fail(left, "too long ago")
    fleet.sleep(300)
    new = fleet.fail(left, "of late")
    large = fleet.fail(left, "x" * (failures.MAX_MESSAGE - 40))
    for owner in (left, "another", left):
        failures.bury(fleet, owner)

    fleet.release(state="rolled_back", timing={**TIMING, "replay_lookback": 240})
    messages = sent_once(fleet)
    assert messages.keys() == {new, large}
    assert set(failures.kept(fleet)) == {(before, by_stable), (left, old)}
    # A body as large as a message may be leaves no room for attributes: the worker is told where it lies.
    assert (messages[large]["Body"], failures.attribute(messages[large], "body_at")) == (
        "{}",
        f"results/{large}/request.json",
    )
    dead = failures.look(fleet, fleet.names.dead_letter_queue)
    assert [failures.attribute(row, "replay_of") for row in dead] == ["another"]


def test_a_release_that_is_passed_over_is_replayed_as_well(fleet: Fleet) -> None:
    fleet.release(version="1.1.0", percentage="100")
    passed_over = fleet.fail(release_id(fleet), "by the release that was stable")
    fleet.build("1.2.0")
    fleet.traffic.refusing.add("1.2.0")
    fleet.start(lambda line: "reached, judging" in line, version="1.2.0", percentage="50")
    said = fleet.release(state="rolled_back", to_version="1.0.0")["lines"]
    assert sent_once(fleet).keys() == {passed_over, *fleet.traffic.refused}
    assert any(line.endswith("requests that 1.2.0 and 1.1.0 failed") for line in said)
    assert (fleet.ledger.passed_over, fleet.ledger.replayed) == (0, 0)


@pytest.mark.parametrize(
    ("service", "operation", "sentence"),
    [
        ("sqs", "SendMessage", "Cannot send a failed request again: access denied"),
        ("s3", "ListObjectsV2", "Cannot list the failed requests: access denied"),
    ],
)
def test_a_replay_that_is_refused_does_not_keep_the_rollback_open(
    refusing: Fleet, service: str, operation: str, sentence: str
) -> None:
    refusing.harness.world.faults.replace([{"kind": "denied", "service": service, "operation": operation}])
    with pytest.raises(FleetError) as error:
        refusing.release(**REFUSING)
    assert refusing.parameter("deployment-status") == "stable"
    assert f"warning: nothing more is replayed: {sentence}" in error.value.message
    refusing.harness.world.faults.replace([])
    assert len(failures.kept(refusing)) == len(refusing.traffic.refused)


def test_no_request_is_lost_with_a_call(refusing: Fleet) -> None:
    start(refusing, "going back")
    calls = [("sqs", "SendMessage"), ("s3", "DeleteObjects"), ("s3", "GetObject"), ("s3", "ListObjectsV2")]
    faults = [
        {"kind": kind, "service": service, "operation": operation, "times": 1}
        for service, operation in calls
        for kind in ("lost_reply", "throttle")
    ]
    refusing.harness.world.faults.replace(faults)
    while refusing.ledger.is_open:
        try:
            refusing.release(state="rolled_back")
        except FleetError:
            refusing.sleep(TIMING["lock_expiry"])
    sent = failures.look(refusing, refusing.names.task_queue)
    assert {failures.attribute(row, "request_id") for row in sent} == refusing.traffic.refused.keys()
    assert len(sent) > len(refusing.traffic.refused), "a few are sent again"
    assert failures.kept(refusing) == []
