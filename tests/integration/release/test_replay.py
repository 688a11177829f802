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


class Refusals:
    """A fleet whose 1.1.0 refuses every request."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.bodies: dict[str, str] = {}
        """By the id that each was answered under."""
        fleet.traffic.refusing.add("1.1.0")
        fleet.traffic.on_refusal = self._refuse

    def _refuse(self, release_id: str) -> None:
        body = f"request {len(self.bodies)}"
        self.bodies[failures.fail(self.fleet, release_id, body)] = body

    def release(self, **wish: t.Any) -> FleetError:
        """Release it, which ends badly."""
        with pytest.raises(FleetError) as caught:
            self.fleet.release(version="1.1.0", percentage="20", **wish)
        return caught.value

    def start(self, until: str) -> list[str]:
        """Release it by a run that dies when it says that."""
        return self.fleet.start(lambda line: until in line, version="1.1.0", percentage="20")


@pytest.fixture
def refusals(fleet: Fleet) -> Refusals:
    """A fleet of 5 on 1.0.0, and a 1.1.0 that refuses every request."""
    return Refusals(fleet)


def sent_again(fleet: Fleet) -> dict[str, dict[str, t.Any]]:
    """The messages in the task queue, by the id that they are to be answered under; each of them only once."""
    found = failures.take(fleet, fleet.names.task_queue)
    ids = [failures.attribute(row, "request_id") for row in found]
    assert len(ids) == len(set(ids))
    return dict(zip(ids, found, strict=True))


def release_id(fleet: Fleet) -> str:
    """Of the stable release."""
    return t.cast(Release, fleet.ledger.stable).release_id


def record(fleet: Fleet, sequence: int) -> dict[str, t.Any]:
    """The history of one release."""
    key = f"releases/{sequence:06d}.json"
    found = fleet.client("s3").get_object(Bucket=fleet.names.bucket(ACCOUNT), Key=key)
    return dict(json.loads(found["Body"].read()))


def test_what_the_rejected_release_failed_is_sent_again(fleet: Fleet, refusals: Refusals) -> None:
    said = refusals.start("going back")
    assert failures.kept(fleet) != []
    assert sent_again(fleet) == {}, "nothing before everything runs the stable release"
    said += fleet.release(state="rolled_back")["lines"]

    messages, count = sent_again(fleet), len(refusals.bodies)
    assert count > 1
    assert {name: row["Body"] for name, row in messages.items()} == refusals.bodies
    rejected = fleet.ledger.rejected[0].release_id
    assert {failures.attribute(row, "replay_of") for row in messages.values()} == {rejected}
    assert failures.kept(fleet) == []
    assert f"replaying {count} requests that 1.1.0 failed" in said
    assert record(fleet, 2)["replayed"] == count
    assert f"; {count} failed requests sent again" in record(fleet, 2)["reason"]
    assert fleet.versions() == ["1.0.0"] * 5


def test_many_are_sent_in_batches_and_a_run_that_dies_is_followed_by_one_that_sends_the_rest(
    fleet: Fleet, refusals: Refusals
) -> None:
    fleet.traffic.jobs_per_second = 5.0
    refusals.start("replaying")
    total = len(refusals.bodies)
    assert 0 < fleet.ledger.replayed < total / 2
    fleet.release(state="rolled_back")
    assert sent_again(fleet).keys() == refusals.bodies.keys()
    assert record(fleet, 2)["replayed"] == total


def test_not_when_it_is_not_wanted(fleet: Fleet, refusals: Refusals) -> None:
    refusals.release(replay=False)
    assert sent_again(fleet) == {}
    assert len(failures.kept(fleet)) == len(refusals.bodies)
    assert "replayed" not in record(fleet, 2)


def test_a_release_that_was_stable_is_replayed_for_as_far_back_as_asked(fleet: Fleet) -> None:
    by_stable = failures.fail(fleet, release_id(fleet), "by the release that comes back")
    fleet.release(version="1.1.0", percentage="100")
    left = release_id(fleet)
    old = failures.fail(fleet, left, "too long ago")
    fleet.sleep(300)
    new = failures.fail(fleet, left, "of late")
    large = failures.fail(fleet, left, "x" * (failures.MAX_MESSAGE - 40))
    for owner in (left, "another", left):
        failures.bury(fleet, owner)

    fleet.release(state="rolled_back", timing={**TIMING, "replay_lookback": 240})
    messages = sent_again(fleet)
    assert messages.keys() == {new, large}
    assert set(failures.kept(fleet)) == {by_stable, old}
    # A body as large as a message may be leaves no room for attributes: the worker is told where it lies.
    assert (messages[large]["Body"], failures.attribute(messages[large], "body_at")) == (
        "{}",
        f"results/{large}/request.json",
    )
    dead = failures.take(fleet, fleet.names.dead_letter_queue)
    assert [failures.attribute(row, "replay_of") for row in dead] == ["another"]


@pytest.mark.parametrize(
    ("service", "operation", "sentence"),
    [
        ("sqs", "SendMessage", "Cannot send a failed request again: access denied"),
        ("s3", "ListObjectsV2", "Cannot list the failed requests: access denied"),
    ],
)
def test_a_replay_that_is_refused_does_not_keep_the_rollback_open(
    fleet: Fleet, refusals: Refusals, service: str, operation: str, sentence: str
) -> None:
    fleet.harness.world.faults.replace([{"kind": "denied", "service": service, "operation": operation}])
    error = refusals.release()
    assert fleet.parameter("deployment-status") == "stable"
    assert f"warning: nothing more is replayed: {sentence}" in error.message
    fleet.harness.world.faults.replace([])
    assert len(failures.kept(fleet)) == len(refusals.bodies)


def test_no_request_is_lost_with_a_call(fleet: Fleet, refusals: Refusals) -> None:
    refusals.start("going back")
    calls = [("sqs", "SendMessage"), ("s3", "DeleteObjects"), ("s3", "GetObject"), ("s3", "ListObjectsV2")]
    faults = [
        {"kind": kind, "service": service, "operation": operation, "times": 1}
        for service, operation in calls
        for kind in ("lost_reply", "throttle")
    ]
    fleet.harness.world.faults.replace(faults)
    while fleet.ledger.is_open:
        try:
            fleet.release(state="rolled_back")
        except FleetError:
            fleet.sleep(TIMING["lock_expiry"])
    sent = failures.take(fleet, fleet.names.task_queue)
    assert {failures.attribute(row, "request_id") for row in sent} == refusals.bodies.keys()
    assert len(sent) > len(refusals.bodies), "a few are sent again"
    assert failures.kept(fleet) == []
