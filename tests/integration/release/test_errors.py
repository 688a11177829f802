# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input and a hostile account: one clear sentence, nothing changed."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import AccessDenied, InvalidInput, NotFound
from ansible_collections.diffusion.fleet.plugins.module_utils._release.module import run_release
from tests.support.fleet import Fleet


def state(fleet: Fleet) -> tuple[t.Any, ...]:
    """Everything a failed run must leave alone."""
    versions = fleet.client("ec2").describe_launch_template_versions(LaunchTemplateName=fleet.names.group)
    numbers = [row["VersionNumber"] for row in versions["LaunchTemplateVersions"]]
    return fleet.ledger, fleet.group(), fleet.locks(), numbers


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"version": "9.9.9"}, r"version=9\.9\.9 is not in repository sd-inference-demo \(pushed: 1\.1\.0, 1\.0\.0\)"),
        ({"version": "1.1.0", "percentage": "0"}, "percentage=0 is not a whole number from 1 to 100"),
        ({"version": "1.1.0", "percentage": "101"}, "percentage=101 is not a whole number from 1 to 100"),
        ({"version": "1.1.0", "percentage": "abc"}, "percentage=abc is not a whole number from 1 to 100"),
        ({"version": "1.1.0", "steps": ["5", "50"]}, "must rise and end with 100"),
        ({"deployment_id": "No_Good"}, "deployment_id='No_Good' is not valid"),
        ({"to_version": "1.0.0"}, "needs state=rolled_back"),
        ({"state": "rolled_back", "version": "1.0.0"}, r"version=1\.0\.0 is no goal .* to return to it use to_version"),
    ],
)
def test_bad_input_is_named(fleet: Fleet, wish: dict[str, t.Any], sentence: str) -> None:
    before = state(fleet)
    with pytest.raises(InvalidInput, match=sentence):
        fleet.release(**wish)
    assert state(fleet) == before


def test_a_deployment_that_was_never_provisioned(fleet: Fleet) -> None:
    with pytest.raises(NotFound, match=r"Deployment 'elsewhere' is not provisioned here.*Run provision\.yml"):
        fleet.release(deployment_id="elsewhere", version="1.1.0")


@pytest.mark.parametrize(
    ("service", "operation"),
    [("ssm", "PutParameter"), ("autoscaling", "DescribeAutoScalingGroups"), ("ecr", "DescribeImages")],
)
def test_access_denied_names_the_action(fleet: Fleet, service: str, operation: str) -> None:
    before = state(fleet)
    fleet.harness.world.faults.replace([{"kind": "denied", "service": service, "operation": operation}])
    with pytest.raises(AccessDenied, match=f"access denied to {operation}"):
        run_release(fleet, fleet.params(version="1.1.0"), check_mode=False, clock=fleet)
    fleet.harness.world.faults.clear()
    assert state(fleet) == before
