# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a refresh, and what is returned of it."""

from __future__ import annotations

import typing as t

import boto3
import pytest
import yaml

from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.progress import line_of
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.transform import refresh_result
from ansible_collections.diffusion.fleet.plugins.modules import instance_refresh

WARM = {
    "LivePoolProgress": {"PercentageComplete": 50, "InstancesToUpdate": 2},
    "WarmPoolProgress": {"PercentageComplete": 0, "InstancesToUpdate": 1},
}
LINES: list[tuple[dict[str, t.Any], str]] = [
    ({"Status": "Pending"}, "Pending"),
    (
        {"Status": "InProgress", "PercentageComplete": 75, "InstancesToUpdate": 1},
        "InProgress: 75 % done, 1 instance to go",
    ),
    (
        {"Status": "Baking", "PercentageComplete": 100, "InstancesToUpdate": 0, "StatusReason": "Baking until noon."},
        "Baking: 100 % done, 0 instances to go. Baking until noon.",
    ),
    (
        {"Status": "RollbackInProgress", "PercentageComplete": 25, "InstancesToUpdate": 3, "StatusReason": "An alarm."},
        "RollbackInProgress: 25 % still to be undone. An alarm.",
    ),
    (
        {"Status": "InProgress", "PercentageComplete": 33, "InstancesToUpdate": 3, "ProgressDetails": WARM},
        "InProgress: in the group 50 % done, 2 instances to go; in the warm pool 0 % done, 1 instance to go",
    ),
]


@pytest.mark.parametrize(("refresh", "line"), LINES)
def test_a_line(refresh: dict[str, t.Any], line: str) -> None:
    assert line_of(refresh) == line


def test_the_progress_of_a_warm_pool_is_returned() -> None:
    result = refresh_result({"Status": "InProgress", "ProgressDetails": WARM})
    assert result["progress_details"] == {
        "live_pool_progress": {"percentage_complete": 50, "instances_to_update": 2},
        "warm_pool_progress": {"percentage_complete": 0, "instances_to_update": 1},
    }
    rolled = refresh_result({"Status": "Failed", "RollbackDetails": {"ProgressDetailsOnRollback": WARM}})
    assert rolled["rollback_details"]["progress_details_on_rollback"] == result["progress_details"]


def test_every_member_that_aws_answers_is_documented() -> None:
    model = boto3.client("autoscaling", region_name="us-east-1").meta.service_model
    shape = model.operation_model("DescribeInstanceRefreshes").output_shape.members["InstanceRefreshes"].member
    documented = yaml.safe_load(instance_refresh.RETURN)["refresh"]["contains"]
    answered = refresh_result({name: {} for name in shape.members})
    assert set(documented) == set(answered)
    details = shape.members["RollbackDetails"]
    assert set(documented["rollback_details"]["contains"]) == set(refresh_result(dict.fromkeys(details.members))) - {
        "outcome"
    }
