# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps something from prune: every place in an account that may name it, one by one."""

from __future__ import annotations

import base64
import json
import typing as t

import pytest

from local_aws.harness import Harness
from tests.support.fleet import CONFIG, MANIFEST, Fleet
from tests.support.pruning import bake, bare_fleet, later, pruned, tags


@pytest.fixture
def bare(harness: Harness) -> Fleet:
    """An empty fleet with three versions pushed."""
    return bare_fleet(harness)


def template_versions(fleet: Fleet, count: int) -> list[str]:
    """New versions that differ in nothing."""
    base = {"LaunchTemplateName": fleet.names.group, "SourceVersion": "1", "LaunchTemplateData": {}}
    made = [fleet.client("ec2").create_launch_template_version(**base) for _unused in range(count)]
    return [str(row["LaunchTemplateVersion"]["VersionNumber"]) for row in made]


def test_what_the_group_is_set_to_stays_in_whatever_member_it_stands(bare: Fleet) -> None:
    first, second, _unused, newest = template_versions(bare, 4)
    name = bare.names.group
    templates = bare.client("ec2").describe_launch_templates(LaunchTemplateNames=[name])["LaunchTemplates"]
    by_id = {"LaunchTemplateId": templates[0]["LaunchTemplateId"], "Version": second}
    machine = bake(bare, "of an override")
    overrides = [{"InstanceType": "g5.xlarge", "LaunchTemplateSpecification": by_id, "ImageId": machine}]
    settings: list[tuple[dict[str, t.Any], set[str]]] = [
        ({"LaunchTemplate": {"LaunchTemplateName": name, "Version": "$Latest"}}, {newest}),
        (
            {
                "MixedInstancesPolicy": {
                    "LaunchTemplate": {
                        "LaunchTemplateSpecification": {"LaunchTemplateName": name, "Version": first},
                        "Overrides": overrides,
                    }
                }
            },
            {first, second},
        ),
    ]
    later(bare)
    for given, stays in reversed(settings):
        bare.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=name, **given)
        kept = {kind: {row["name"] for row in rows} for kind, rows in pruned(bare, check=True)["kept"].items()}
        assert kept["template_versions"] == {"1", *stays}
        assert kept["amis"] == ({machine} if first in stays else set())


def test_an_instance_is_known_by_any_of_its_tags(bare: Fleet) -> None:
    ec2, name = bare.client("ec2"), bare.names.group
    *used, unused = template_versions(bare, 4)
    template = ec2.describe_launch_templates(LaunchTemplateNames=[name])["LaunchTemplates"][0]["LaunchTemplateId"]
    known_by = {"aws:ec2launchtemplate:id": template, "aws:autoscaling:groupName": name, "DeploymentId": "demo"}
    for version, (tag, value) in zip(used, known_by.items(), strict=True):
        marks = {tag: value, "aws:ec2launchtemplate:version": version, "ImageVersion": "1.0.0"}
        launch(bare, ec2.describe_images()["Images"][0]["ImageId"], **marks)
    later(bare)
    assert pruned(bare)["removed"]["template_versions"] == [unused]
    assert tags(bare) == {"1.0.0", "1.2.0"}


def launch(fleet: Fleet, image: str, **tagged: str) -> None:
    """Launch an instance by hand."""
    marks = [{"Key": key, "Value": value} for key, value in tagged.items()]
    kinds = [{"ResourceType": "instance", "Tags": marks}] if marks else []
    fleet.client("ec2").run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=kinds)


def test_a_machine_image_stays_while_any_instance_of_the_account_runs_it(bare: Fleet) -> None:
    used, unused = bake(bare, "used"), bake(bare, "unused")
    launch(bare, used)
    later(bare)
    assert pruned(bare)["removed"]["amis"] == [unused]


def test_a_machine_image_of_another_purpose_stays_and_so_does_its_snapshot(bare: Fleet) -> None:
    other = bake(bare, "somebody's", purpose="experiments")
    later(bare)
    done = pruned(bare)
    assert (done["removed"]["amis"], done["removed"]["snapshots"]) == ([], [])
    assert done["lines"][-1].endswith("stays: another machine image uses it")
    assert bare.client("ec2").describe_images(ImageIds=[other])["Images"] != []


def test_what_a_template_version_that_stays_runs_stays_though_no_tag_names_it(bare: Fleet) -> None:
    ec2, name = bare.client("ec2"), bare.names.group
    row = bare.client("ecr").describe_images(repositoryName=name, imageIds=[{"imageTag": "1.0.0"}])["imageDetails"][0]
    told = base64.b64encode(f"SD_IMAGE=registry/{name}@{row['imageDigest']}\n".encode()).decode()
    ec2.create_launch_template_version(
        LaunchTemplateName=name, SourceVersion="1", LaunchTemplateData={"UserData": told}
    )
    ec2.modify_launch_template(LaunchTemplateName=name, DefaultVersion="2")
    later(bare)
    assert pruned(bare)["removed"]["images"] != []
    assert tags(bare) == {"1.0.0", "1.2.0"}


def test_what_the_plain_parameters_name_stays(bare: Fleet) -> None:
    name = f"{bare.names.root}/previous-version"
    bare.client("ssm").put_parameter(Name=name, Value="1.0.0", Type="String", Overwrite=True)
    later(bare)
    pruned(bare)
    assert tags(bare) == {"1.0.0", "1.2.0"}


def test_parts_of_an_index_and_what_refers_to_an_image_go_with_it(bare: Fleet) -> None:
    old, newest = indexed(bare, "0.9.0"), indexed(bare, "1.3.0")
    later(bare)
    removed = set(pruned(bare)["removed"]["images"])
    assert set(old) <= removed
    assert not set(newest) & removed


def indexed(fleet: Fleet, version: str) -> list[str]:
    """An index under that version, the manifest inside it, and one that refers to it; their digests."""
    fleet.harness.advance(1)
    config = {**fleet.upload(version.encode()), "mediaType": CONFIG}
    plain = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}
    inside = fleet.put(plain)
    listed = [{"mediaType": MANIFEST, "digest": inside, "size": len(json.dumps(plain))}]
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": listed}
    whole = fleet.put(index, version)
    subject = {"mediaType": index["mediaType"], "digest": whole, "size": len(json.dumps(index))}
    return [whole, inside, fleet.put({**plain, "subject": subject})]
