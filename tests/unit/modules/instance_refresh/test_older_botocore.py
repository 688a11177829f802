# SPDX-License-Identifier: GPL-3.0-or-later
"""With an older botocore: a model that lacks what is asked for, laid where botocore looks for models first."""

from __future__ import annotations

import collections.abc
import copy
import json
import pathlib
import typing as t

import botocore.loaders
import pytest

from .conftest import Account, version

Shapes = dict[str, t.Any]


def without(shapes: Shapes, *members: str) -> Shapes:
    """The shapes of a model without these members, each written as shape.member."""
    older = copy.deepcopy(shapes)
    for one in members:
        shape, _dot, member = one.partition(".")
        del older[shape]["members"][member]
    return older


@pytest.fixture
def older(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> collections.abc.Callable[..., None]:
    """Take members, and the strategy ReplaceRootVolume, out of the model that new clients read."""
    model = botocore.loaders.create_loader().load_service_model("autoscaling", "service-2")

    def install(*members: str) -> None:
        shapes = without(model["shapes"], *members)
        shapes["RefreshStrategy"]["enum"] = ["Rolling"]
        place = tmp_path / "autoscaling" / "2011-01-01"
        place.mkdir(parents=True)
        (place / "service-2.json").write_text(json.dumps({**model, "shapes": shapes}), encoding="utf-8")
        monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))

    return install


def test_a_missing_member_is_named_with_its_option_and_no_call_is_made(
    account: Account, older: collections.abc.Callable[..., None]
) -> None:
    older("RefreshPreferences.BakeTime", "LaunchTemplateOverrides.ImageId")
    policy = {
        "launch_template": {"name": "sd-inference-demo", "version": "2"},
        "overrides": [{"instance_type": "g4dn.xlarge", "image_id": "ami-12345678"}],
    }
    result = account.run(
        strategy="ReplaceRootVolume",
        preferences={"bake_time": 60},
        desired_configuration={"mixed_instances_policy": policy},
    )
    assert result["failed"] is True
    assert sorted(result["unknown"]) == [
        "DesiredConfiguration.MixedInstancesPolicy.LaunchTemplate.Overrides[0].ImageId",
        "Preferences.BakeTime",
        "Strategy=ReplaceRootVolume",
    ]
    assert "preferences.bake_time" in result["msg"] and "newer boto3" in result["msg"]
    assert account.statuses() == []


@pytest.mark.parametrize("state", ["cancelled", "started"])
def test_a_cancel_that_does_not_wait_needs_its_member(
    account: Account, older: collections.abc.Callable[..., None], state: str
) -> None:
    account.run(desired_configuration=version(2), preferences={"min_healthy_percentage": 75})
    older("CancelInstanceRefreshType.WaitForTransitioningInstances")
    asked = {"state": state, "on_active": "cancel", "wait_for_transitioning_instances": False}
    result = account.run(**asked, desired_configuration=version(3))
    assert result["unknown"] == ["WaitForTransitioningInstances"]
    assert account.statuses() == ["Pending"]


def test_what_is_not_used_is_not_missed(account: Account, older: collections.abc.Callable[..., None]) -> None:
    older(
        "RefreshPreferences.BakeTime",
        "RefreshPreferences.AlarmSpecification",
        "CancelInstanceRefreshType.WaitForTransitioningInstances",
    )
    started = account.run(desired_configuration=version(2), preferences={"min_healthy_percentage": 75})
    assert started["changed"] is True
    assert account.run(state="cancelled")["changed"] is True
