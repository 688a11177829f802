# SPDX-License-Identifier: GPL-3.0-or-later
"""bake_ami.yml and prune.yml as a user runs them, against a local_aws process; no host is configured there."""

from __future__ import annotations

import collections.abc
import json

import pytest

from scripts.rehearsal.group import base_image
from tests.support.baking import BUILDER, builders, client, deployment, images, launch, older_image, play
from tests.support.playbooks import local_aws


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> collections.abc.Iterator[str]:
    """An account with the parts of a deployment that these playbooks look at."""
    with local_aws(tmp_path_factory.mktemp("local_aws")) as address:
        deployment(lambda service: client(address, service))
        yield address


def test_an_image_is_made_recorded_and_the_oldest_goes(endpoint: str) -> None:
    ec2, ssm = client(endpoint, "ec2"), client(endpoint, "ssm")
    left, older = launch(ec2, BUILDER), older_image(ec2)
    run = play(endpoint, "bake_ami", "-e", "keep_amis=1")
    assert run.code == 0, run.failures() or run.text
    made = images(ec2)
    assert [row["ImageId"] for row in made] == [ssm.get_parameter(Name="/sd-inference/demo/ami")["Parameter"]["Value"]]
    assert older not in [row["ImageId"] for row in made]
    tags = {tag["Key"]: tag["Value"] for tag in made[0]["Tags"]}
    assert (tags["DeploymentId"], tags["BaseImage"], tags["ImageVersion"]) == (
        "demo",
        base_image(lambda service: client(endpoint, service)),
        "none",
    )
    disk = made[0]["BlockDeviceMappings"][0]["Ebs"]
    assert (disk["VolumeSize"], disk["Encrypted"]) == (100, True)
    filters = [{"Name": "tag:Purpose", "Values": ["host-image"]}]
    snapshots = ec2.describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]
    assert [row["SnapshotId"] for row in snapshots] == [disk["SnapshotId"]]
    assert builders(ec2) == [], f"{left} was left by a run that died"


def test_a_builder_that_cannot_be_configured_is_ended_and_nothing_is_made(endpoint: str) -> None:
    ec2 = client(endpoint, "ec2")
    before = images(ec2)
    unreachable = {"fleet_bake_configure": True, "fleet_bake_connection": "ssh", "fleet_bake_reach_seconds": 1}
    run = play(endpoint, "bake_ami", "-e", json.dumps(unreachable))
    assert run.code != 0
    assert "could not be configured, see above; it is ended" in run.failures()
    assert (images(ec2), builders(ec2)) == (before, [])


def test_prune_shows_its_plan(endpoint: str) -> None:
    sqs = client(endpoint, "sqs")
    sqs.create_queue(QueueName="sd-smoke-demo-0123456789ab")
    for arguments in (("--check", "--diff"), ()):
        run = play(endpoint, "prune", "-e", "keep_days=0", *arguments)
        assert run.code == 0, run.failures() or run.text
        assert "smoke queue of release 0123456789ab" in run.text
        left = len(sqs.list_queues(QueueNamePrefix="sd-smoke-demo-").get("QueueUrls", []))
        assert left == (1 if arguments else 0)


def test_provision_gives_it_to_the_hosts(endpoint: str) -> None:
    ec2, ssm = client(endpoint, "ec2"), client(endpoint, "ssm")
    made = older_image(ec2)
    ssm.put_parameter(Name="/sd-inference/demo/ami", Value=made, Type="String", Overwrite=True)
    stock = base_image(lambda service: client(endpoint, service))
    for pinned, wanted in (("", made), (stock, stock)):
        run = play(endpoint, "provision", "-e", json.dumps({"fleet_image_id": pinned}))
        assert run.code == 0, run.failures() or run.text
        host = json.loads(ssm.get_parameter(Name="/sd-inference/demo/host")["Parameter"]["Value"])
        assert host["launch_template_data"]["ImageId"] == wanted


def test_destroy_removes_it(endpoint: str) -> None:
    ec2 = client(endpoint, "ec2")
    launch(ec2, BUILDER)
    ec2.deregister_image(ImageId=older_image(ec2))  # whoever did that left the snapshot behind
    run = play(endpoint, "destroy", "-e", "confirm=demo", "-e", "delete_data=true")
    assert run.code == 0, run.failures() or run.text
    filters = [{"Name": "tag:Purpose", "Values": ["host-image"]}]
    left = ec2.describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]
    assert (images(ec2), left, builders(ec2)) == ([], [], [])
