# SPDX-License-Identifier: Apache-2.0
"""Root volumes replaced in place: the strategy ReplaceRootVolume of instance refreshes."""

from __future__ import annotations

import typing as t

from local_aws.autoscaling import launch, templates
from local_aws.autoscaling.errors import ValidationError
from local_aws.autoscaling.model import Group, Member, Params

if t.TYPE_CHECKING:
    from local_aws.world import World

STRATEGY = "ReplaceRootVolume"


def check(group: Group, desired: Params | None) -> None:
    """Refuse what AWS refuses of a group and a desired configuration."""
    overrides = templates.config_overrides(desired or {})
    if "MixedInstancesPolicy" not in group.config or not all("ImageId" in override for override in overrides):
        raise ValidationError(
            "ReplaceRootVolume requires an Auto Scaling group with a mixed instances policy, and a desired "
            "configuration whose mixed instances policy specifies an ImageId in every override."
        )
    configs = (group.config, desired or {})
    if not all(templates.numbered(config) for config in configs):
        raise ValidationError("ReplaceRootVolume does not support the launch template versions $Latest and $Default.")
    wanted, saved = (templates.resolve(group.account, group.region, templates.config_spec(c)) for c in configs)
    if not wanted.same(saved):
        raise ValidationError("ReplaceRootVolume changes the ImageId only, not the launch template or its version.")
    kinds = {override.get("InstanceType") for override in overrides}
    for member in group.members.values():
        if member.instance_type not in kinds or not _as_saved(group, member):
            raise ValidationError(
                "ReplaceRootVolume requires that all instances match the launch template and the instance types of "
                f"the mixed instances policy; {member.instance_id} does not."
            )


def _as_saved(group: Group, member: Member) -> bool:
    """True when an instance runs a template version that the group's policy names for its type."""
    override = _override(group.config, member.instance_type)
    spec = override.get("LaunchTemplateSpecification") or templates.config_spec(group.config)
    return member.template.same(templates.resolve(group.account, group.region, spec))


def _override(config: Params, instance_type: str) -> Params:
    """The override of an instance type; an empty one when there is none."""
    found = (o for o in templates.config_overrides(config) if o.get("InstanceType") == instance_type)
    return next(found, {})


def image(group: Group, config: Params, member: Member) -> str:
    """The AMI that a configuration gives to an instance."""
    override = _override(config, member.instance_type)
    if "ImageId" in override:
        return str(override["ImageId"])
    template = templates.resolve(group.account, group.region, templates.config_spec(config))
    return str(template.data.get("ImageId") or "")


def begin(world: World, group: Group, member: Member, image_id: str) -> None:
    """Choose an instance; its termination hooks run first."""
    refresh = group.refresh
    member.refresh_id = refresh.refresh_id if refresh else None
    member.next_image, member.in_service_at = image_id, None
    launch.set_state(world, group, member, "ReplacingRootVolume")


def replace(world: World, group: Group, member: Member) -> None:
    """Stop the host, give it a root volume of the new AMI, and start it: to its group it is as a new one."""
    launch.set_state(world, group, member, "ReplacingRootVolume:Proceed")
    world.runner.stop(member.instance_id)
    _swap(templates.ec2_backend(group.account, group.region), member.instance_id)
    member.image_id, member.next_image = member.next_image or member.image_id, None
    launch.set_state(world, group, member, "RootVolumeReplaced")
    member.launched_at = world.now()
    launch.set_state(world, group, member, "Pending")
    world.runner.boot(launch.host_view(group, member))


def _swap(backend: t.Any, instance_id: str) -> None:
    """A new root volume of the same size in moto; the old one is deleted, as Auto Scaling does."""
    instance = backend.get_instance(instance_id)
    device = next(iter(instance.block_device_mapping), None)
    if device is None:
        return
    old = backend.get_volume(instance.block_device_mapping[device].volume_id)
    backend.detach_volume(old.id, instance_id, device)
    instance.add_block_device(old.size, device, None, old.encrypted, True, old.kms_key_id, old.volume_type)
    backend.delete_volume(old.id)
