# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""From the module's options to the input of StartInstanceRefresh, checked before any call is made."""

from __future__ import annotations

import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput

Document = t.Mapping[str, t.Any]

PREFERENCES: t.Mapping[str, str] = {
    "min_healthy_percentage": "MinHealthyPercentage",
    "max_healthy_percentage": "MaxHealthyPercentage",
    "instance_warmup": "InstanceWarmup",
    "checkpoint_percentages": "CheckpointPercentages",
    "checkpoint_delay": "CheckpointDelay",
    "skip_matching": "SkipMatching",
    "auto_rollback": "AutoRollback",
    "scale_in_protected_instances": "ScaleInProtectedInstances",
    "standby_instances": "StandbyInstances",
    "alarms": "AlarmSpecification",
    "bake_time": "BakeTime",
}
TWO_DAYS = 172_800
RANGES: t.Mapping[str, tuple[int, int]] = {
    "min_healthy_percentage": (0, 100),
    "max_healthy_percentage": (100, 200),
    "instance_warmup": (0, 2**31 - 1),
    "checkpoint_delay": (0, TWO_DAYS),
    "bake_time": (0, TWO_DAYS),
}
MAX_ALARMS = 10
MOVING = frozenset({"$Latest", "$Default"})


def build_request(group: str, strategy: str, preferences: Document, desired: Document) -> dict[str, t.Any]:
    """The input of StartInstanceRefresh. Options that are None are left to AWS. Raises InvalidInput."""
    given = {name: value for name, value in preferences.items() if value is not None}
    configuration = desired_configuration(desired)
    check_ranges(given)
    check_healthy(given)
    check_checkpoints(given)
    check_alarms(given)
    check_rollback(given, configuration)
    check_strategy(strategy, configuration)
    request: dict[str, t.Any] = {"AutoScalingGroupName": group, "Strategy": strategy}
    if configuration:
        request["DesiredConfiguration"] = configuration
    if given:
        request["Preferences"] = {PREFERENCES[name]: member_of(name, value) for name, value in given.items()}
    return request


def member_of(name: str, value: t.Any) -> t.Any:
    """The value of a preference as the API takes it."""
    return {"Alarms": list(value)} if name == "alarms" else value


def desired_configuration(desired: Document) -> dict[str, t.Any]:
    """The desired configuration, empty when none is asked for."""
    template, policy = desired.get("launch_template"), desired.get("mixed_instances_policy")
    if template and policy:
        raise InvalidInput(
            "desired_configuration has both launch_template and mixed_instances_policy. Keep one: a group with a mixed "
            "instances policy takes the whole policy."
        )
    if template:
        return {"LaunchTemplate": launch_template(template)}
    if policy:
        check_policy(policy)
        return {"MixedInstancesPolicy": dict(policy)}
    return {}


def launch_template(template: Document) -> dict[str, str]:
    """A launch template specification: by id or by name, and always with a version."""
    identity, name, version = template.get("id"), template.get("name"), str(template.get("version") or "")
    if bool(identity) == bool(name):
        raise InvalidInput(
            f"desired_configuration.launch_template has id {identity!r} and name {name!r}. Give exactly one of them."
        )
    if not (version.isdecimal() and int(version) > 0) and version not in MOVING:
        raise InvalidInput(
            f"desired_configuration.launch_template.version is {version!r}. Give the number of a version, such as 7."
        )
    key = {"LaunchTemplateId": str(identity)} if identity else {"LaunchTemplateName": str(name)}
    return key | {"Version": version}


def check_policy(policy: Document) -> None:
    """AWS takes no desired configuration that chooses instance types by their attributes."""
    for override in overrides_of(policy):
        if "InstanceRequirements" in override:
            raise InvalidInput(
                "desired_configuration.mixed_instances_policy has an override with InstanceRequirements, which AWS "
                "refuses in a desired configuration. Name the instance types instead."
            )


def overrides_of(policy: Document) -> list[Document]:
    """The overrides of a mixed instances policy."""
    return list((policy.get("LaunchTemplate") or {}).get("Overrides") or [])


def check_ranges(given: Document) -> None:
    """Each number within what the API takes."""
    for name, (low, high) in RANGES.items():
        value = given.get(name)
        if value is not None and not low <= value <= high:
            raise InvalidInput(f"preferences.{name} is {value}. Give a number from {low} to {high}.")


def check_healthy(given: Document) -> None:
    """A maximum needs a minimum no more than 100 below it."""
    low, high = given.get("min_healthy_percentage"), given.get("max_healthy_percentage")
    if high is not None and low is None:
        raise InvalidInput(
            f"preferences.max_healthy_percentage is {high} without min_healthy_percentage. Give both: AWS takes the "
            "maximum only with a minimum."
        )
    if high is not None and low is not None and high - low > 100:
        raise InvalidInput(
            f"preferences.max_healthy_percentage is {high} and min_healthy_percentage {low}. They may be 100 apart at "
            f"most: raise the minimum to {high - 100} or lower the maximum to {low + 100}."
        )


def check_checkpoints(given: Document) -> None:
    """Ascending, each once, 1 to 100; a delay only with checkpoints."""
    percentages = given.get("checkpoint_percentages")
    if percentages is None:
        if "checkpoint_delay" in given:
            raise InvalidInput(
                f"preferences.checkpoint_delay is {given['checkpoint_delay']} without checkpoint_percentages. Give the "
                "checkpoints or leave the delay out."
            )
        return
    if list(percentages) != sorted(set(percentages)) or not all(1 <= item <= 100 for item in percentages):
        raise InvalidInput(
            f"preferences.checkpoint_percentages is {list(percentages)}. Give numbers from 1 to 100, ascending, each "
            "once, for example [20, 50, 100]."
        )


def check_alarms(given: Document) -> None:
    """At most ten alarms, each named once."""
    alarms = list(given.get("alarms") or [])
    if len(alarms) > MAX_ALARMS or len(set(alarms)) < len(alarms) or not all(alarms):
        raise InvalidInput(f"preferences.alarms is {alarms}. Give the names of at most {MAX_ALARMS} alarms, each once.")


def check_rollback(given: Document, configuration: Document) -> None:
    """AWS rolls back only from a desired configuration with a numbered template version."""
    if not given.get("auto_rollback"):
        return
    if not configuration:
        raise InvalidInput(
            "preferences.auto_rollback is true without desired_configuration. Give the launch template version that is "
            "to go out: AWS returns to the one that the group has saved."
        )
    moving = MOVING.intersection(versions_of(configuration))
    if moving:
        raise InvalidInput(
            f"preferences.auto_rollback is true with template version {sorted(moving)[0]}. Give the number of the "
            "version: AWS cannot roll back from one that moves."
        )


def versions_of(configuration: Document) -> list[str]:
    """Every template version that a desired configuration names."""
    if "LaunchTemplate" in configuration:
        return [str(configuration["LaunchTemplate"].get("Version", ""))]
    policy = configuration.get("MixedInstancesPolicy") or {}
    base = (policy.get("LaunchTemplate") or {}).get("LaunchTemplateSpecification") or {}
    own = [override.get("LaunchTemplateSpecification") or {} for override in overrides_of(policy)]
    # AWS reads a specification without a version as $Default.
    return [str(item.get("Version") or "$Default") for item in [base, *own] if item]


def check_strategy(strategy: str, configuration: Document) -> None:
    """A root volume is replaced by the AMI of a mixed instances policy's overrides."""
    if strategy != "ReplaceRootVolume":
        return
    overrides = overrides_of(configuration.get("MixedInstancesPolicy") or {})
    if not overrides or not all(override.get("ImageId") for override in overrides):
        raise InvalidInput(
            "strategy is ReplaceRootVolume without an AMI for each instance type. Give "
            "desired_configuration.mixed_instances_policy with an ImageId in every override, or use Rolling."
        )


def warnings_of(request: Document) -> list[str]:
    """What AWS accepts but few people mean."""
    percentages = (request.get("Preferences") or {}).get("CheckpointPercentages") or [100]
    if percentages[-1] == 100:
        return []
    return [
        f"checkpoint_percentages ends at {percentages[-1]}: the refresh ends Successful with the rest of the instances "
        "unchanged, and the group keeps the new template. Add 100 to replace all."
    ]
