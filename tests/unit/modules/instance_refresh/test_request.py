# SPDX-License-Identifier: GPL-3.0-or-later
"""Options become a request that the API's model accepts, or a sentence that says what is wrong."""

from __future__ import annotations

import typing as t

import boto3
import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.members import check_members, unknown_members
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.request import (
    PREFERENCES,
    build_request,
    warnings_of,
)

MODEL = boto3.client("autoscaling", region_name="us-east-1").meta.service_model
SHAPE = MODEL.operation_model("StartInstanceRefresh").input_shape
SEVEN: dict[str, t.Any] = {"launch_template": {"name": "sd-inference-demo", "version": 7}}
WITH_AMI = {"LaunchTemplate": {"Overrides": [{"InstanceType": "g4dn.xlarge", "ImageId": "ami-1"}]}}

NUMBERS = st.none() | st.integers(-10, 260)
OPTIONS = st.fixed_dictionaries(
    {
        "min_healthy_percentage": NUMBERS,
        "max_healthy_percentage": NUMBERS,
        "instance_warmup": NUMBERS,
        "checkpoint_percentages": st.none() | st.lists(st.integers(-1, 102), max_size=4),
        "checkpoint_delay": st.none() | st.integers(-1, 172_801),
        "skip_matching": st.none() | st.booleans(),
        "auto_rollback": st.none() | st.booleans(),
        "alarms": st.none() | st.lists(st.sampled_from([f"alarm-{number}" for number in range(12)]), max_size=12),
        "scale_in_protected_instances": st.sampled_from([None, "Refresh", "Ignore", "Wait"]),
        "standby_instances": st.sampled_from([None, "Terminate", "Ignore", "Wait"]),
        "bake_time": st.none() | st.integers(-1, 172_801),
    }
)
DESIRED = st.sampled_from(
    [{}, SEVEN, {"launch_template": {"id": "lt-1", "version": "$Latest"}}, {"mixed_instances_policy": WITH_AMI}]
)


def within_limits(preferences: dict[str, t.Any]) -> bool:
    """The API's limits, written down a second time from its documentation."""
    low, high = preferences.get("MinHealthyPercentage"), preferences.get("MaxHealthyPercentage")
    checkpoints = preferences.get("CheckpointPercentages")
    return all(
        (
            low is None or 0 <= low <= 100,
            high is None or (100 <= high <= 200 and low is not None and high - low <= 100),
            checkpoints is None or all(1 <= one <= 100 for one in checkpoints),
            all(one < other for one, other in zip(checkpoints or [], (checkpoints or [])[1:], strict=False)),
            0 <= preferences.get("BakeTime", 0) <= 172_800,
            0 <= preferences.get("CheckpointDelay", 0) <= 172_800,
            preferences.get("InstanceWarmup", 0) >= 0,
            checkpoints is not None or "CheckpointDelay" not in preferences,
            len(preferences.get("AlarmSpecification", {}).get("Alarms", [])) <= 10,
        )
    )


def build_or_refuse(options: dict[str, t.Any], desired: dict[str, t.Any]) -> dict[str, t.Any] | str:
    """The request, or the message of the refusal."""
    try:
        return build_request("group", "Rolling", options, desired)
    except InvalidInput as error:
        return error.message


@given(OPTIONS, DESIRED)
def test_a_request_fits_the_api_or_is_refused_by_name(options: dict[str, t.Any], desired: dict[str, t.Any]) -> None:
    request = build_or_refuse(options, desired)
    if isinstance(request, str):
        assert request.startswith(("preferences.", "desired_configuration")), request
        return
    assert not ParamValidator().validate(request, SHAPE).has_errors()
    assert list(unknown_members(SHAPE, request)) == []
    assert within_limits(request.get("Preferences", {}))
    if options["auto_rollback"]:
        assert "$" not in str(request["DesiredConfiguration"])


@given(OPTIONS, DESIRED)
def test_what_is_within_the_limits_is_not_refused(options: dict[str, t.Any], desired: dict[str, t.Any]) -> None:
    given_values = {PREFERENCES[name]: value for name, value in options.items() if value is not None}
    alarms = given_values.pop("AlarmSpecification", [])
    fine = within_limits({**given_values, "AlarmSpecification": {"Alarms": alarms}}) and len(set(alarms)) == len(alarms)
    numbered = "$" not in str(desired) and "mixed_instances_policy" not in desired
    if fine and (not options["auto_rollback"] or (desired and numbered)):
        assert build_request("group", "Rolling", options, desired)["AutoScalingGroupName"] == "group"


def test_every_preference_of_the_model_has_an_option() -> None:
    assert set(PREFERENCES.values()) == set(SHAPE.members["Preferences"].members)


def test_what_is_left_out_is_left_to_aws() -> None:
    assert build_request("group", "Rolling", dict.fromkeys(PREFERENCES), {}) == {
        "AutoScalingGroupName": "group",
        "Strategy": "Rolling",
    }


REFUSED: list[tuple[str, str, dict[str, t.Any], dict[str, t.Any], str]] = [
    ("both forms", "Rolling", {}, {**SEVEN, "mixed_instances_policy": WITH_AMI}, "Keep one"),
    ("no template", "Rolling", {}, {"launch_template": {"version": "1"}}, "exactly one"),
    ("id and name", "Rolling", {}, {"launch_template": {"id": "a", "name": "b", "version": "1"}}, "exactly one"),
    ("version zero", "Rolling", {}, {"launch_template": {"id": "a", "version": "0"}}, "number of a version"),
    ("version by name", "Rolling", {}, {"launch_template": {"id": "a", "version": "1.1.0"}}, "number of a version"),
    ("rollback alone", "Rolling", {"auto_rollback": True}, {}, "without desired_configuration"),
    (
        "rollback from a moving version",
        "Rolling",
        {"auto_rollback": True},
        {"launch_template": {"id": "a", "version": "$Default"}},
        "$Default",
    ),
    (
        "rollback of a policy without a version",
        "Rolling",
        {"auto_rollback": True},
        {"mixed_instances_policy": {"LaunchTemplate": {"LaunchTemplateSpecification": {"LaunchTemplateName": "a"}}}},
        "$Default",
    ),
    ("root volume without an AMI", "ReplaceRootVolume", {}, SEVEN, "ImageId in every override"),
    (
        "types by attributes",
        "Rolling",
        {},
        {"mixed_instances_policy": {"LaunchTemplate": {"Overrides": [{"InstanceRequirements": {}}]}}},
        "InstanceRequirements",
    ),
]


@pytest.mark.parametrize(
    ("strategy", "preferences", "desired", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_refused(strategy: str, preferences: dict[str, t.Any], desired: dict[str, t.Any], says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        build_request("group", strategy, preferences, desired)
    assert says in caught.value.message


def test_root_volumes_are_replaced_by_the_ami_of_each_type() -> None:
    request = build_request("group", "ReplaceRootVolume", {}, {"mixed_instances_policy": WITH_AMI})
    assert request["DesiredConfiguration"] == {"MixedInstancesPolicy": WITH_AMI}
    assert request["Strategy"] == "ReplaceRootVolume"


def test_what_the_installed_botocore_lacks_is_named() -> None:
    request = {
        "Strategy": "Sideways",
        "Preferences": {"SoakTime": 1},
        "DesiredConfiguration": {"MixedInstancesPolicy": {"LaunchTemplate": {"Overrides": [{"InstanceKind": "g4dn"}]}}},
    }
    with pytest.raises(InvalidInput) as caught:
        check_members(SHAPE, request, "1.2.3")
    assert caught.value.details["unknown"] == [
        "Strategy=Sideways",
        "Preferences.SoakTime",
        "DesiredConfiguration.MixedInstancesPolicy.LaunchTemplate.Overrides[0].InstanceKind",
    ]
    assert "botocore 1.2.3" in caught.value.message


@pytest.mark.parametrize(("percentages", "warned"), [([20, 100], 0), ([20, 40], 1)])
def test_a_refresh_that_stops_short_is_warned_of(percentages: list[int], warned: int) -> None:
    request = build_request("group", "Rolling", {"checkpoint_percentages": percentages}, {})
    assert len(warnings_of(request)) == warned
