# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Groups that cannot be released to: settings of somebody's under which AWS does something else than is counted. Pure.

The engine counts instances by their launch template version. A group whose instances do not tell it, or do not count
as one each, is refused before anything changes.
"""

from __future__ import annotations

import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import Group

AGAIN = "then run this again."


def refuse_deploy(group: Group, stable_version: str | None, surge: bool) -> InvalidInput | None:
    """Why nothing can be released to this group, or nothing."""
    return (
        refuse_any(group)
        or _other_template(group, stable_version)
        or _images(group)
        or _requirements(group)
        or _maintenance(group, surge)
    )


def refuse_any(group: Group) -> InvalidInput | None:
    """Why it could never be counted what this group runs, not even on the way back."""
    return own_templates(group) or _weights(group)


def own_templates(group: Group) -> InvalidInput | None:
    """Overrides with a launch template of their own: no template version that is set for the group reaches them."""
    for where, override in _overrides(group):
        found = override.get("LaunchTemplateSpecification")
        if found:
            named = found.get("LaunchTemplateName") or found.get("LaunchTemplateId")
            return InvalidInput(
                f"{where}.LaunchTemplateSpecification={named} of group {group.name}: what is launched by this override "
                f"never runs a release. Take the field out of the override (its type then runs {group.name} like the "
                f"others), or the override out of the policy, {AGAIN}"
            )
    return None


def _weights(group: Group) -> InvalidInput | None:
    for where, override in _overrides(group):
        weight = override.get("WeightedCapacity")
        if weight not in (None, "1"):
            return InvalidInput(
                f"{where}.WeightedCapacity={weight} of group {group.name}: a release counts instances, and the desired "
                f"capacity must count the same. Take the weights out of the policy, correct the capacity, {AGAIN}"
            )
    return None


def _other_template(group: Group, stable_version: str | None) -> InvalidInput | None:
    if group.template_name == group.name:
        return None
    uses = f"launch template {group.template_name}" if group.template_name else "a launch configuration"
    return InvalidInput(
        f"The group {group.name} uses {uses}; releases are versions of launch template {group.name}, and a failed one "
        f"could not go back. Set the group to version {stable_version or 1} of launch template {group.name} (aws "
        f"autoscaling update-auto-scaling-group), {AGAIN}"
    )


def _images(group: Group) -> InvalidInput | None:
    for where, override in _overrides(group):
        if override.get("ImageId"):
            return InvalidInput(
                f"{where}.ImageId={override['ImageId']} of group {group.name} wins over the AMI of every release. Take "
                f"it out of the override, {AGAIN} To change the AMI, set fleet_host_image_id and run provision.yml."
            )
    return None


def _requirements(group: Group) -> InvalidInput | None:
    for where, override in _overrides(group):
        if override.get("InstanceRequirements"):
            return InvalidInput(
                f"{where}.InstanceRequirements of group {group.name}: an instance refresh takes no new template "
                f"version for a group that chooses its types by requirements. List instance types instead, {AGAIN}"
            )
    return None


def _maintenance(group: Group, surge: bool) -> InvalidInput | None:
    """What a release without surge leaves out, the group's own policy fills in."""
    if surge or group.maintenance_maximum <= 100:
        return None
    return InvalidInput(
        f"surge=false, but InstanceMaintenancePolicy.MaxHealthyPercentage={group.maintenance_maximum} of group "
        f"{group.name} has AWS launch more than the group's size. Release with surge=true, or set that policy to 100, "
        f"{AGAIN}"
    )


def _overrides(group: Group) -> t.Iterator[tuple[str, t.Mapping[str, t.Any]]]:
    """Each override and what it is called."""
    launch = (group.mixed_policy or {}).get("LaunchTemplate") or {}
    for number, override in enumerate(launch.get("Overrides") or ()):
        yield f"MixedInstancesPolicy.LaunchTemplate.Overrides[{number}]", override
