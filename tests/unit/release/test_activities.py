# SPDX-License-Identifier: GPL-3.0-or-later
"""Which scaling activities speak against a release, in AWS's words. Values in, values out."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.diffusion.fleet.plugins.module_utils._release.activities import (
    LATE,
    failed,
    is_failure,
    settled,
)

TAKEN_OUT = "At 2026-11-23T12:00:00Z an instance was taken out of service in response to "
LIFECYCLE = "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token t was abandoned: "
IN_SERVICE = "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: "


@pytest.mark.parametrize(
    ("cause", "counts"),
    [
        ("a user health-check.", True),
        ("an ELB system health check failure.", True),
        ("an Elastic Load Balancing health check failure.", True),
        ("a VPC Lattice health check failure.", True),
        ("an EC2 health check indicating it has been terminated or stopped.", False),
        ("an EC2 health check that indicated it had been terminated or stopped.", False),
        ("an EC2 Spot interruption notice.", False),
        ("an EC2 instance rebalance recommendation.", False),
        ("an EBS volume health check failure.", False),
        ("a user request.", False),
        ("an instance refresh.", False),
        ("a difference between desired and actual capacity, shrinking the capacity from 5 to 4.", False),
    ],
)
def test_only_health_that_was_reported_counts(cause: str, counts: bool) -> None:
    activity = {"Description": "Terminating EC2 instance: i-0a", "StatusCode": "InProgress", "Cause": TAKEN_OUT + cause}
    assert is_failure(activity) is counts


@pytest.mark.parametrize(
    ("status", "message", "counts"),
    [
        ("Failed", "Instance became unhealthy or failed: the worker did not start", True),
        ("Failed", LIFECYCLE + "Heartbeat Timeout", True),
        ("Cancelled", LIFECYCLE + "Lifecycle Action Completed with ABANDON Result", True),
        ("Cancelled", IN_SERVICE + "Client.InstanceInitiatedShutdown: Instance initiated shutdown", True),
        ("Cancelled", IN_SERVICE + "Server.SpotInstanceTermination: Spot instance termination", False),
        ("Failed", IN_SERVICE + "Client.UserInitiatedShutdown: User initiated shutdown", False),
        ("Cancelled", "Instance was terminated before it was in service.", False),
        ("Cancelled", None, False),
        ("InProgress", None, False),
    ],
)
def test_a_launch_counts_that_failed_or_was_abandoned(status: str, message: str | None, counts: bool) -> None:
    activity = {"Description": "Launching a new EC2 instance: i-0a", "StatusCode": status, "StatusMessage": message}
    assert is_failure(activity) is counts


BEGIN = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
SECONDS = st.integers(0, 200)
AFTER = st.sampled_from([0, int(LATE.total_seconds())])
ACTIVITIES = st.lists(st.tuples(SECONDS, AFTER, SECONDS, st.booleans()), min_size=2)
"""Of each: when it begins, how long after that it can be read, how long it takes, and whether it fails in the end."""


def seen_at(now: int, told: t.Sequence[tuple[int, int, int, bool]]) -> list[dict[str, t.Any]]:
    """What AWS answers at that second."""
    rows = []
    for number, (start, late, lasts, fails) in enumerate(told):
        over = now >= start + late and now >= start + lasts
        row = {
            "Description": f"Launching a new EC2 instance: i-{number:x}",
            "StatusCode": ("Failed" if fails else "Successful") if over else "InProgress",
            "StartTime": BEGIN + dt.timedelta(seconds=start),
        }
        if now >= start + late:
            rows.append({**row, "EndTime": BEGIN + dt.timedelta(seconds=now)} if over else row)
    return rows


@given(ACTIVITIES, st.lists(SECONDS, min_size=2, max_size=8))
def test_what_is_read_since_the_last_look_adds_up_to_all_there_is(
    told: list[tuple[int, int, int, bool]], looks: list[int]
) -> None:
    since, found = BEGIN, set[str]()
    for now in [*sorted(looks), 2000]:
        rows = [row for row in seen_at(now, told) if row["StartTime"] >= since]
        found |= failed(rows)
        since = settled(rows, since)
    assert found == failed(seen_at(2000, told))


def test_a_launch_that_goes_on_is_read_until_it_is_over() -> None:
    rows = [{"StartTime": BEGIN}, *({"StartTime": BEGIN + LATE * n, "EndTime": BEGIN + LATE * n} for n in range(9))]
    assert settled(rows, BEGIN) == BEGIN
    assert settled(rows[1:], BEGIN) == BEGIN + LATE * 7
