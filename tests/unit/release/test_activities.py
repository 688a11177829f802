# SPDX-License-Identifier: GPL-3.0-or-later
"""Which scaling activities speak against a release, in AWS's words. Values in, values out."""

from __future__ import annotations

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._release.activities import is_failure

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
