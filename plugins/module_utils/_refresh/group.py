# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Whether a group, as AWS describes it, can be refreshed as asked: said before AWS refuses it."""

from __future__ import annotations

import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import Conflict
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.options import Document
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.request import (
    ROOT_VOLUME,
    moving_versions,
    overrides_of,
)

BALANCED = ("LoadBalancerNames", "TargetGroupARNs", "TrafficSources")


def check_group(group: Document, request: Document) -> None:
    """Raise Conflict when the group cannot be refreshed as asked."""
    preferences = request.get("Preferences") or {}
    check_requirements(group, request, preferences)
    if preferences.get("AutoRollback"):
        check_numbered(group, "preferences.auto_rollback is true", "leave auto_rollback out")
    if request.get("Strategy") == ROOT_VOLUME:
        check_root_volumes(group, request)


def name_of(group: Document) -> str:
    """The group's name."""
    return str(group["AutoScalingGroupName"])


def check_requirements(group: Document, request: Document, preferences: Document) -> None:
    """A group that chooses its types by attributes takes neither a desired configuration nor SkipMatching."""
    if not any(override.get("InstanceRequirements") for override in overrides_of(group)):
        return
    given = [
        option
        for option, value in (
            ("desired_configuration", request.get("DesiredConfiguration")),
            ("preferences.skip_matching", preferences.get("SkipMatching")),
        )
        if value
    ]
    if given:
        raise Conflict(
            f"{name_of(group)} chooses its instance types by InstanceRequirements, so AWS refreshes it without "
            f"{' and '.join(given)} only. Leave that out, or name the instance types in the group's policy."
        )


def check_numbered(group: Document, why: str, otherwise: str) -> None:
    """AWS returns to a numbered template version only."""
    moving = moving_versions(group)
    if moving:
        raise Conflict(
            f"{why}, but {name_of(group)} has saved the template version {moving[0]}, to which AWS cannot return. Set "
            f"a number in the group, or {otherwise}."
        )


def check_root_volumes(group: Document, request: Document) -> None:
    """What AWS asks of a group whose root volumes it replaces."""
    problem = next(root_volume_problems(group, request), "")
    if problem:
        raise Conflict(
            f"strategy is ReplaceRootVolume, but {name_of(group)} {problem}. AWS replaces no root volumes there; use "
            "Rolling, or change the group."
        )


def root_volume_problems(group: Document, request: Document) -> t.Iterator[str]:
    """What stands against replacing the root volumes."""
    if not group.get("MixedInstancesPolicy"):
        yield "has no mixed instances policy"
    elif moving_versions(group):
        yield f"has saved the template version {moving_versions(group)[0]}"
    types = {override.get("InstanceType") for override in overrides_of(request["DesiredConfiguration"])}
    for instance in group.get("Instances", []):
        if instance.get("InstanceType") not in types:
            yield f"runs {instance['InstanceId']} of type {instance['InstanceType']}, which the policy does not name"
    if group.get("WarmPoolConfiguration"):
        yield "has a warm pool"
    if any(group.get(name) for name in BALANCED):
        yield "is behind a load balancer"
