# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet on virtual time as prune sees it: what it has gathered, and what is left of that."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._prune.machine_images import PURPOSE
from ansible_collections.diffusion.fleet.plugins.module_utils._prune.run import ARGUMENT_SPEC, run_prune
from local_aws.harness import Harness
from tests.support.fleet import Fleet

LATER = {"keep_versions": 1, "keep_days": 0, "keep_amis": 0}


def bare_fleet(harness: Harness) -> Fleet:
    """An empty fleet to which nothing was ever released, with three versions pushed."""
    fleet = Fleet(harness, 1)
    push(fleet, "1.0.0", "1.1.0", "1.2.0")
    return fleet


def push(fleet: Fleet, *versions: str) -> None:
    """Push them one after the other."""
    for version in versions:
        fleet.harness.advance(1)
        fleet.build(version)


def tags(fleet: Fleet) -> set[str]:
    """The versions in the repository."""
    rows = fleet.client("ecr").describe_images(repositoryName=fleet.names.group)["imageDetails"]
    return {tag for row in rows for tag in row.get("imageTags", ())}


def numbers(fleet: Fleet) -> set[int]:
    """The launch template versions."""
    rows = fleet.client("ec2").describe_launch_template_versions(LaunchTemplateName=fleet.names.group)
    return {row["VersionNumber"] for row in rows["LaunchTemplateVersions"]}


def later(fleet: Fleet, days: int = 3) -> None:
    """Let days go by, for whoever asks this fleet for the time."""
    fleet.skew = dt.timedelta(days=days)


def pruned(fleet: Fleet, aws: t.Any = None, *, check: bool = False) -> dict[str, t.Any]:
    """What the use case does on the fleet's own time."""
    defaults = {name: option.get("default") for name, option in ARGUMENT_SPEC.items()}
    given = {**defaults, "deployment_id": "demo", **LATER}
    return run_prune(aws or fleet, given, check_mode=check, clock=fleet)


def bake(fleet: Fleet, name: str, purpose: str = PURPOSE) -> str:
    """A machine image as bake_ami.yml leaves it, or one that somebody has tagged as something else."""
    ec2 = fleet.client("ec2")
    instance = ec2.run_instances(
        ImageId=fleet.client("ec2").describe_images()["Images"][0]["ImageId"], MinCount=1, MaxCount=1
    )
    instance_id = instance["Instances"][0]["InstanceId"]
    owner = {"Key": "DeploymentId", "Value": "demo"}
    marks = {"image": purpose, "snapshot": PURPOSE}
    kinds = [{"ResourceType": kind, "Tags": [owner, {"Key": "Purpose", "Value": mark}]} for kind, mark in marks.items()]
    image = str(ec2.create_image(InstanceId=instance_id, Name=name, TagSpecifications=kinds)["ImageId"])
    ec2.terminate_instances(InstanceIds=[instance_id])
    return image
