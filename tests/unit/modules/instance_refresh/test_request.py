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
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.limits import check_model
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.options import PREFERENCES, START
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.request import (
    build_request,
    start_options,
    warnings_of,
)

MODEL = boto3.client("autoscaling", region_name="us-east-1").meta.service_model
SHAPE = MODEL.operation_model("StartInstanceRefresh").input_shape
TEMPLATE = {"name": "sd-inference-demo", "version": "7"}
SEVEN: dict[str, t.Any] = {"launch_template": TEMPLATE}


def policy(*overrides: dict[str, t.Any], **distribution: t.Any) -> dict[str, t.Any]:
    """A mixed instances policy, as the module takes it."""
    return {
        "mixed_instances_policy": {
            "launch_template": TEMPLATE,
            "overrides": list(overrides),
            "instances_distribution": distribution or None,
        }
    }


WITH_AMI = policy({"instance_type": "g4dn.xlarge", "image_id": "ami-12345678"})
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
DESIRED = st.sampled_from([{}, SEVEN, {"launch_template": {"id": "lt-1", "version": "$Latest"}}, WITH_AMI])


def within_limits(preferences: dict[str, t.Any]) -> bool:
    """The API's limits, written down a second time from its documentation."""
    low, high = preferences.get("MinHealthyPercentage"), preferences.get("MaxHealthyPercentage")
    checkpoints = preferences.get("CheckpointPercentages")
    return all(
        (
            low is None or 0 <= low <= 100,
            high is None or (100 <= high <= 200 and low is not None and high - low <= 100),
            checkpoints is None or (checkpoints and all(1 <= one <= 100 for one in checkpoints)),
            all(one < other for one, other in zip(checkpoints or [], (checkpoints or [])[1:], strict=False)),
            0 <= preferences.get("BakeTime", 0) <= 172_800,
            0 <= preferences.get("CheckpointDelay", 0) <= 172_800,
            preferences.get("InstanceWarmup", 0) >= 0,
            checkpoints is not None or "CheckpointDelay" not in preferences,
            len(preferences.get("AlarmSpecification", {}).get("Alarms", [])) <= 10,
        )
    )


def build(strategy: str, preferences: dict[str, t.Any], desired: dict[str, t.Any]) -> dict[str, t.Any]:
    """The request, held against the model and against the API's text. Raises InvalidInput."""
    check_model(SHAPE, START, start_options("group", strategy, preferences, desired), "1.2.3")
    return build_request("group", strategy, preferences, desired)


def build_or_refuse(options: dict[str, t.Any], desired: dict[str, t.Any]) -> dict[str, t.Any] | str:
    """The request, or the message of the refusal."""
    try:
        return build("Rolling", options, desired)
    except InvalidInput as error:
        return error.message


@given(OPTIONS, DESIRED)
def test_a_request_fits_the_api_or_is_refused_by_name(options: dict[str, t.Any], desired: dict[str, t.Any]) -> None:
    request = build_or_refuse(options, desired)
    if isinstance(request, str):
        assert request.startswith(("preferences.", "desired_configuration")), request
        return
    assert not ParamValidator().validate(request, SHAPE).has_errors()
    assert within_limits(request.get("Preferences", {}))
    if options["auto_rollback"]:
        assert "$" not in str(request["DesiredConfiguration"])


@given(OPTIONS, DESIRED)
def test_what_is_within_the_limits_is_not_refused(options: dict[str, t.Any], desired: dict[str, t.Any]) -> None:
    given_values = {PREFERENCES[name].member: value for name, value in options.items() if value is not None}
    alarms = given_values.pop("AlarmSpecification.Alarms", [])
    fine = within_limits({**given_values, "AlarmSpecification": {"Alarms": alarms}}) and len(set(alarms)) == len(alarms)
    if fine and (not options["auto_rollback"] or (desired and "$" not in str(desired))):
        assert build("Rolling", options, desired)["AutoScalingGroupName"] == "group"


def test_what_is_left_out_is_left_to_aws() -> None:
    assert build("Rolling", dict.fromkeys(PREFERENCES), {}) == {
        "AutoScalingGroupName": "group",
        "Strategy": "Rolling",
    }


AUTO = {"auto_rollback": True}
NEEDS = {"vcpu_count": {"min": 4}, "memory_mib": {"min": 16384}}
REFUSED: dict[str, tuple[str, dict[str, t.Any], dict[str, t.Any], str]] = {
    "both forms": ("Rolling", {}, {**SEVEN, **WITH_AMI}, "Keep one"),
    "no template": ("Rolling", {}, {"launch_template": {"version": "1"}}, "exactly one"),
    "id and name": ("Rolling", {}, {"launch_template": {"id": "a", "name": "abc", "version": "1"}}, "exactly one"),
    "version zero": ("Rolling", {}, {"launch_template": {"id": "a", "version": "0"}}, "number of a version"),
    "version by name": ("Rolling", {}, {"launch_template": {"id": "a", "version": "1.1.0"}}, "number of a version"),
    "a short name": ("Rolling", {}, {"launch_template": {"name": "ab", "version": "1"}}, "from 3 to 128"),
    "a name with a space": ("Rolling", {}, {"launch_template": {"name": "a b c", "version": "1"}}, "of the form"),
    "rollback alone": ("Rolling", AUTO, {}, "without desired_configuration"),
    "rollback from $Default": ("Rolling", AUTO, {"launch_template": {"id": "a", "version": "$Default"}}, "$Default"),
    "a long alarm": ("Rolling", {"alarms": ["a" * 256]}, {}, "preferences.alarms[0]"),
    "no checkpoint": ("Rolling", {"checkpoint_percentages": []}, {}, "checkpoint_percentages is []"),
    "policy without template": (
        "Rolling",
        {},
        {"mixed_instances_policy": {"overrides": []}},
        "without launch_template",
    ),
    "template of an override": (
        "Rolling",
        {},
        policy({"instance_type": "g5.xlarge", "launch_template": {"id": "a", "name": "abc", "version": "1"}}),
        "overrides[0].launch_template has id",
    ),
    "type and requirements": (
        "Rolling",
        {},
        policy({"instance_type": "a", "instance_requirements": NEEDS}),
        "has both",
    ),
    "requirements without memory": (
        "Rolling",
        {},
        policy({"instance_requirements": {"vcpu_count": {"min": 4}}}),
        "without memory_mib",
    ),
    "five requirements": ("Rolling", {}, policy(*[{"instance_requirements": NEEDS}] * 5), "4 at most"),
    "twenty templates": ("Rolling", {}, policy(*[{"launch_template": TEMPLATE}] * 20), "19 at most"),
    "two bounds of the price": (
        "Rolling",
        {},
        policy(
            {
                "instance_requirements": {
                    **NEEDS,
                    "spot_max_price_percentage_over_lowest_price": 1,
                    "max_spot_price_as_percentage_of_optimal_on_demand_price": 1,
                }
            }
        ),
        "has both",
    ),
    "some weights": (
        "Rolling",
        {},
        policy({"instance_type": "a", "weighted_capacity": "1"}, {"instance_type": "b"}),
        "all or to none",
    ),
    "a heavy weight": ("Rolling", {}, policy({"instance_type": "a", "weighted_capacity": "1000"}), "from 1 to 999"),
    "no AMI id": ("Rolling", {}, policy({"instance_type": "a", "image_id": "resolve:ssm:/a"}), "image_id is"),
    "on-demand strategy": ("Rolling", {}, policy(on_demand_allocation_strategy="diversified"), "prioritized"),
    "spot strategy": ("Rolling", {}, policy(spot_allocation_strategy="diversified"), "price-capacity-optimized"),
    "pools of another strategy": (
        "Rolling",
        {},
        policy(spot_instance_pools=2, spot_allocation_strategy="capacity-optimized"),
        "spot_instance_pools",
    ),
    "pools": ("Rolling", {}, policy(spot_instance_pools=21), "from 1 to 20"),
    "share": ("Rolling", {}, policy(on_demand_percentage_above_base_capacity=101), "from 0 to 100"),
    "base": ("Rolling", {}, policy(on_demand_base_capacity=-1), "on_demand_base_capacity is -1"),
    "price": ("Rolling", {}, policy(spot_max_price="0.0001"), "0.001 or more"),
    "price in words": ("Rolling", {}, policy(spot_max_price="cheap"), "0.001 or more"),
    "root volume without a policy": ("ReplaceRootVolume", {}, SEVEN, "image_id in every override"),
    "root volume without an AMI": (
        "ReplaceRootVolume",
        {},
        policy({"instance_type": "a", "image_id": "ami-1"}, {"instance_type": "b"}),
        "image_id in every override",
    ),
    "root volume of $Latest": (
        "ReplaceRootVolume",
        {},
        {
            "mixed_instances_policy": {
                **WITH_AMI["mixed_instances_policy"],
                "launch_template": {"id": "a", "version": "$Latest"},
            }
        },
        "$Latest",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_refused(case: tuple[str, dict[str, t.Any], dict[str, t.Any], str]) -> None:
    strategy, preferences, desired, says = case
    with pytest.raises(InvalidInput) as caught:
        build(strategy, preferences, desired)
    assert says in caught.value.message


def test_a_policy_goes_out_whole() -> None:
    desired = policy(
        {"instance_type": "g4dn.xlarge", "weighted_capacity": "1", "image_id": "ami-12345678"},
        {"instance_type": "g5.xlarge", "weighted_capacity": "2", "launch_template": {"id": "lt-2", "version": "3"}},
        spot_max_price="",
        spot_instance_pools=3,
        distribution_segments=[{"target_capacity_types": ["capacity-block", "on-demand"]}],
    )
    request = build("Rolling", {}, desired)
    assert not ParamValidator().validate(request, SHAPE).has_errors()
    assert request["DesiredConfiguration"]["MixedInstancesPolicy"] == {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateName": "sd-inference-demo", "Version": "7"},
            "Overrides": [
                {"InstanceType": "g4dn.xlarge", "WeightedCapacity": "1", "ImageId": "ami-12345678"},
                {
                    "InstanceType": "g5.xlarge",
                    "WeightedCapacity": "2",
                    "LaunchTemplateSpecification": {"LaunchTemplateId": "lt-2", "Version": "3"},
                },
            ],
        },
        "InstancesDistribution": {
            "SpotMaxPrice": "",
            "SpotInstancePools": 3,
            "DistributionSegments": [{"TargetCapacityTypes": ["capacity-block", "on-demand"]}],
        },
    }


@pytest.mark.parametrize(("percentages", "warned"), [([20, 100], 0), ([20, 40], 1)])
def test_a_refresh_that_stops_short_is_warned_of(percentages: list[int], warned: int) -> None:
    request = build_request("group", "Rolling", {"checkpoint_percentages": percentages}, {})
    assert len(warnings_of(request)) == warned
