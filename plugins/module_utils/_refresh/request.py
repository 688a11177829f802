# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""From the module's options to the input of StartInstanceRefresh, checked before any call is made.

The limits of single values stand in botocore's model (``limits``). Here is what only the API's text says: which values
go together.
"""

from __future__ import annotations

import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.options import START, Document, to_request
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.policy import check_policy

MAX_ALARMS = 10
MOVING = frozenset({"$Latest", "$Default"})
ROOT_VOLUME = "ReplaceRootVolume"


def build_request(group: str, strategy: str, preferences: Document, desired: Document) -> dict[str, t.Any]:
    """The input of StartInstanceRefresh. Options that are None are left to AWS. Raises InvalidInput."""
    given = {name: value for name, value in preferences.items() if value is not None}
    check_healthy(given)
    check_checkpoints(given)
    check_alarms(given)
    check_desired(desired)
    request = to_request(START, start_options(group, strategy, given, desired))
    check_rollback(given, request)
    check_strategy(strategy, request)
    return request


def start_options(group: str, strategy: str, preferences: Document, desired: Document) -> dict[str, t.Any]:
    """The options that StartInstanceRefresh is made of, by their names."""
    return {"name": group, "strategy": strategy, "preferences": preferences, "desired_configuration": desired}


def check_desired(desired: Document) -> None:
    """One of the two forms, and each template named once."""
    template, policy = desired.get("launch_template"), desired.get("mixed_instances_policy")
    if template and policy:
        raise InvalidInput(
            "desired_configuration has both launch_template and mixed_instances_policy. Keep one: a group with a mixed "
            "instances policy takes the whole policy."
        )
    if template:
        check_template(template, "desired_configuration.launch_template")
    if policy:
        where = "desired_configuration.mixed_instances_policy"
        for option, one in check_policy(policy, where):
            check_template(one, option)


def check_template(template: Document, where: str) -> None:
    """A launch template specification: by id or by name, and always with a version."""
    identity, name, version = template.get("id"), template.get("name"), str(template.get("version") or "")
    if bool(identity) == bool(name):
        raise InvalidInput(f"{where} has id {identity!r} and name {name!r}. Give exactly one of them.")
    if not (version.isdecimal() and int(version) > 0) and version not in MOVING:
        raise InvalidInput(f"{where}.version is {version!r}. Give the number of a version, such as 7.")


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
    """At least one, ascending, each once, 1 to 100; a delay only with checkpoints."""
    percentages = given.get("checkpoint_percentages")
    if percentages is None:
        if "checkpoint_delay" in given:
            raise InvalidInput(
                f"preferences.checkpoint_delay is {given['checkpoint_delay']} without checkpoint_percentages. Give the "
                "checkpoints or leave the delay out."
            )
        return
    ascending = list(percentages) == sorted(set(percentages))
    if not percentages or not ascending or not all(1 <= item <= 100 for item in percentages):
        raise InvalidInput(
            f"preferences.checkpoint_percentages is {list(percentages)}. Give numbers from 1 to 100, ascending, each "
            "once, for example [20, 50, 100]."
        )


def check_alarms(given: Document) -> None:
    """At most ten alarms, each named once."""
    alarms = list(given.get("alarms") or [])
    if len(alarms) > MAX_ALARMS or len(set(alarms)) < len(alarms) or not all(alarms):
        raise InvalidInput(f"preferences.alarms is {alarms}. Give the names of at most {MAX_ALARMS} alarms, each once.")


def check_rollback(given: Document, request: Document) -> None:
    """AWS rolls back only from a desired configuration with a numbered template version."""
    if not given.get("auto_rollback"):
        return
    configuration = request.get("DesiredConfiguration") or {}
    if not configuration:
        raise InvalidInput(
            "preferences.auto_rollback is true without desired_configuration. Give the launch template version that is "
            "to go out: AWS returns to the one that the group has saved."
        )
    moving = moving_versions(configuration)
    if moving:
        raise InvalidInput(
            f"preferences.auto_rollback is true with template version {moving[0]}. Give the number of the "
            "version: AWS cannot roll back from one that moves."
        )


def moving_versions(configuration: Document) -> list[str]:
    """The template versions in a configuration, asked for or saved, that are no numbers."""
    # AWS reads a specification without a version as $Default.
    versions = [str(item.get("Version") or "$Default") for item in templates_of(configuration)]
    return sorted(version for version in versions if not version.isdecimal())


def templates_of(configuration: Document) -> list[Document]:
    """Every template specification in a desired configuration, or in a group."""
    policy = (configuration.get("MixedInstancesPolicy") or {}).get("LaunchTemplate") or {}
    own = [override.get("LaunchTemplateSpecification") for override in overrides_of(configuration)]
    found = [configuration.get("LaunchTemplate"), policy.get("LaunchTemplateSpecification"), *own]
    return [item for item in found if item]


def overrides_of(configuration: Document) -> list[Document]:
    """The overrides of the mixed instances policy in a configuration, or in a group."""
    policy = configuration.get("MixedInstancesPolicy") or {}
    return list((policy.get("LaunchTemplate") or {}).get("Overrides") or [])


def check_strategy(strategy: str, request: Document) -> None:
    """A root volume is replaced by the AMI of a mixed instances policy's overrides."""
    if strategy != ROOT_VOLUME:
        return
    configuration = request.get("DesiredConfiguration") or {}
    overrides = overrides_of(configuration)
    if not overrides or not all(override.get("ImageId") for override in overrides):
        raise InvalidInput(
            "strategy is ReplaceRootVolume without an AMI for each instance type. Give "
            "desired_configuration.mixed_instances_policy with an image_id in every override, or use Rolling."
        )
    moving = moving_versions(configuration)
    if moving:
        raise InvalidInput(
            f"strategy is ReplaceRootVolume with template version {moving[0]}. Give the number of the version: AWS "
            "replaces no root volumes from one that moves."
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
