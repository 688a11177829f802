# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Machine images of a deployment, their snapshots, and the instances that exist. One API call, one function."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import aws_call, error_code
from ansible_collections.diffusion.fleet.plugins.module_utils._prune.values import Ami, Instance, Snapshot
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names

PURPOSE = "host-image"
"""Value of the tag Purpose of what bake_ami.yml makes."""
FILTERED = 200
"""Values of one filter (EC2 DescribeInstances API reference)."""
STATES = ("pending", "running", "shutting-down", "stopping", "stopped")


def _tags(row: t.Mapping[str, t.Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in row.get("Tags", ())}


def _filters(names: Names) -> list[dict[str, t.Any]]:
    return [
        {"Name": "tag:DeploymentId", "Values": [names.deployment_id]},
        {"Name": "tag:Purpose", "Values": [PURPOSE]},
    ]


@aws_call("read the machine images")
def read_amis(ec2: t.Any, names: Names) -> tuple[Ami, ...]:
    """The machine images that were made for the deployment, by whoever tags them so."""
    pages = ec2.get_paginator("describe_images").paginate(Owners=["self"], Filters=_filters(names))
    return tuple(_ami(row) for page in pages for row in page["Images"])


def _ami(row: t.Mapping[str, t.Any]) -> Ami:
    disks = (device.get("Ebs") or {} for device in row.get("BlockDeviceMappings", ()))
    return Ami(
        image_id=row["ImageId"],
        name=row.get("Name") or "",
        created=dt.datetime.fromisoformat(row["CreationDate"]).astimezone(dt.UTC),
        snapshots=tuple(disk["SnapshotId"] for disk in disks if disk.get("SnapshotId")),
        pending=row.get("State") in ("pending", "transient"),
    )


@aws_call("read the snapshots")
def read_snapshots(ec2: t.Any, names: Names) -> tuple[Snapshot, ...]:
    """The snapshots that were made with such machine images."""
    pages = ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=_filters(names))
    rows = (row for page in pages for row in page["Snapshots"])
    return tuple(Snapshot(row["SnapshotId"], row["StartTime"].astimezone(dt.UTC)) for row in rows)


def read_instances(ec2: t.Any, names: Names, template_id: str, amis: t.Sequence[str]) -> tuple[Instance, ...]:
    """The deployment's instances, whoever launched them, and any other of the account that runs one of its AMIs."""
    ours = (("tag:DeploymentId", [names.deployment_id]), ("tag:aws:autoscaling:groupName", [names.group]))
    filters: list[tuple[str, t.Sequence[str]]] = [*ours, ("tag:aws:ec2launchtemplate:id", [template_id])]
    filters += [("image-id", amis[start : start + FILTERED]) for start in range(0, len(amis), FILTERED)]
    rows = {row["InstanceId"]: row for name, values in filters for row in _instances(ec2, name, values)}
    return tuple(_instance(row, template_id) for _unused, row in sorted(rows.items()))


@aws_call("read the instances")
def _instances(ec2: t.Any, name: str, values: t.Sequence[str]) -> list[dict[str, t.Any]]:
    filters = [{"Name": name, "Values": list(values)}, {"Name": "instance-state-name", "Values": list(STATES)}]
    pages = ec2.get_paginator("describe_instances").paginate(Filters=filters)
    return [row for page in pages for found in page["Reservations"] for row in found["Instances"]]


def _instance(row: t.Mapping[str, t.Any], template_id: str) -> Instance:
    tags = _tags(row)
    ours = tags.get("aws:ec2launchtemplate:id") in (None, template_id)
    return Instance(
        instance_id=row["InstanceId"],
        ami=row.get("ImageId"),
        template_version=tags.get("aws:ec2launchtemplate:version") if ours else None,
        version=tags.get("ImageVersion"),
        release_id=tags.get("ReleaseId"),
    )


@aws_call("remove a machine image")
def remove_ami(ec2: t.Any, image_id: str) -> None:
    """Deregister a machine image; one that is gone already is no error."""
    try:
        ec2.deregister_image(ImageId=image_id)
    except ec2.exceptions.ClientError as error:
        if error_code(error) not in ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"):
            raise


@aws_call("remove a snapshot")
def remove_snapshot(ec2: t.Any, snapshot_id: str) -> bool:
    """Remove a snapshot; False where another machine image was made of it. One that is gone already is no error."""
    try:
        ec2.delete_snapshot(SnapshotId=snapshot_id)
    except ec2.exceptions.ClientError as error:
        if error_code(error) != "InvalidSnapshot.NotFound":
            if error_code(error) == "InvalidSnapshot.InUse":
                return False
            raise
    return True
