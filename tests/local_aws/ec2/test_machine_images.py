# SPDX-License-Identifier: Apache-2.0
"""Machine images made of instances."""

from __future__ import annotations

import collections.abc
import typing as t

import pytest
from botocore.exceptions import ClientError

from local_aws.harness import Harness

TAGS = [{"Key": "Purpose", "Value": "host-image"}]


@pytest.fixture
def ec2() -> collections.abc.Iterator[t.Any]:
    with Harness() as running:
        yield running.client("ec2")


def launch(ec2: t.Any) -> str:
    disk = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 42, "Encrypted": True, "VolumeType": "gp3"}}
    image = ec2.describe_images()["Images"][0]["ImageId"]
    made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, BlockDeviceMappings=[disk])
    return str(made["Instances"][0]["InstanceId"])


def create(ec2: t.Any, name: str) -> str:
    kinds = [{"ResourceType": kind, "Tags": TAGS} for kind in ("image", "snapshot")]
    return str(ec2.create_image(InstanceId=launch(ec2), Name=name, TagSpecifications=kinds)["ImageId"])


def test_an_image_has_the_root_volume_of_its_instance_and_tags_on_both(ec2: t.Any) -> None:
    made = create(ec2, "host-1")
    rows = ec2.describe_images(Owners=["self"], Filters=[{"Name": "tag:Purpose", "Values": ["host-image"]}])["Images"]
    assert [row["ImageId"] for row in rows] == [made]
    device = rows[0]["BlockDeviceMappings"][0]
    assert (device["DeviceName"], device["Ebs"]["VolumeSize"], device["Ebs"]["Encrypted"]) == ("/dev/xvda", 42, True)
    snapshots = ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "tag:Purpose", "Values": ["host-image"]}])
    assert [row["SnapshotId"] for row in snapshots["Snapshots"]] == [device["Ebs"]["SnapshotId"]]


def test_a_name_is_used_once(ec2: t.Any) -> None:
    create(ec2, "host-1")
    with pytest.raises(ClientError, match=r"InvalidAMIName\.Duplicate"):
        create(ec2, "host-1")


def test_tags_are_for_images_and_snapshots(ec2: t.Any) -> None:
    kinds = [{"ResourceType": "volume", "Tags": TAGS}]
    with pytest.raises(ClientError, match="volume"):
        ec2.create_image(InstanceId=launch(ec2), Name="host-1", TagSpecifications=kinds)


def test_a_snapshot_is_held_by_its_image(ec2: t.Any) -> None:
    made = create(ec2, "host-1")
    snapshot = ec2.describe_images(ImageIds=[made])["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    with pytest.raises(ClientError, match=r"InvalidSnapshot\.InUse"):
        ec2.delete_snapshot(SnapshotId=snapshot)
    ec2.deregister_image(ImageId=made)
    ec2.delete_snapshot(SnapshotId=snapshot)
    with pytest.raises(ClientError, match=r"InvalidSnapshot\.NotFound"):
        ec2.delete_snapshot(SnapshotId=snapshot)
