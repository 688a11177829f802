# SPDX-License-Identifier: Apache-2.0
"""Machine images that are made of instances: with the instance's root volume, and tags on the snapshot, too."""

from __future__ import annotations

import typing as t

from local_aws import store

_TAGGED = ("image", "snapshot")


def install() -> None:
    """Replace moto's CreateImage, which refuses tags of snapshots and takes every root volume to be the same."""
    from moto.ec2.models.amis import Ami, AmiBackend

    setattr(AmiBackend, "create_image", create_image)
    setattr(Ami, "block_device_mappings", property(block_device_mappings))


def create_image(
    backend: t.Any, instance_id: str, name: str, description: str, tag_specifications: list[dict[str, t.Any]]
) -> t.Any:
    """CreateImage: of an instance that exists, under a name that no other image of the account has."""
    from moto.ec2.models.amis import Ami
    from moto.ec2.utils import random_ami_id

    instance = backend.get_instance(instance_id)
    tags = _tags(tag_specifications)
    _check_name(backend, name)
    ami_id = random_ami_id()
    root = next(iter(instance.block_device_mapping.items()), None)
    ami = Ami(
        backend,
        ami_id,
        instance=instance,
        name=name,
        description=description,
        root_device_name=root[0] if root else "/dev/sda1",
        root_device_type="ebs",
        creation_date=store.world_utcnow(),
        snapshot_description=f"Created by CreateImage({instance_id}) for {ami_id}",
    )
    _take_snapshot(ami, backend.get_volume(root[1].volume_id) if root else None, tags["snapshot"])
    ami.add_tags(tags["image"])
    backend.amis[ami_id] = ami
    return ami


def _tags(specifications: list[dict[str, t.Any]]) -> dict[str, dict[str, str]]:
    from moto.ec2.exceptions import InvalidTaggableResourceType

    unknown = [row["ResourceType"] for row in specifications if row["ResourceType"] not in _TAGGED]
    if unknown:
        raise InvalidTaggableResourceType(unknown[0])
    given = {row["ResourceType"]: row["Tags"] for row in specifications}
    return {kind: {tag["Key"]: tag["Value"] for tag in given.get(kind, ())} for kind in _TAGGED}


def _check_name(backend: t.Any, name: str) -> None:
    from local_aws.services.launch_templates import TemplateError

    holder = next((ami for ami in backend.amis.values() if ami.name == name and ami.owner_alias is None), None)
    if holder is not None:
        raise TemplateError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {holder.id}")


def _take_snapshot(ami: t.Any, volume: t.Any, tags: dict[str, str]) -> None:
    """moto has made a snapshot of an empty volume: it becomes one of the instance's root volume."""
    ami.ebs_snapshot.start_time = store.world_utcnow()
    ami.ebs_snapshot.add_tags(tags)
    if volume is not None:
        ami.ebs_snapshot.volume, ami.ebs_snapshot.encrypted = volume, volume.encrypted


def block_device_mappings(ami: t.Any) -> list[dict[str, t.Any]]:
    """The root volume, as large and as encrypted as what the snapshot was taken of."""
    snapshot = ami.ebs_snapshot
    disk = {
        "SnapshotId": snapshot.id,
        "VolumeSize": snapshot.volume.size,
        "Encrypted": bool(snapshot.encrypted),
        "DeleteOnTermination": ami.instance_id is not None,
        "VolumeType": "gp3" if ami.instance_id is not None else "standard",
    }
    return [{"DeviceName": ami.root_device_name, "Ebs": disk}]
