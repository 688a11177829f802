# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks that make and remove a fleet, run twice each against a local_aws process."""

from __future__ import annotations

import base64
import collections.abc
import json
import pathlib
import typing as t

import boto3
import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger, Release
from scripts.rehearsal.traffic import wait_until
from tests.support.playbooks import ROOT, local_aws, run_playbook
from tests.support.warm.python import warm_modules

pytestmark = pytest.mark.slow

PROVISION = ROOT / "playbooks" / "provision.yml"
DESTROY = ROOT / "playbooks" / "destroy.yml"
NAME = "sd-inference-demo"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> collections.abc.Iterator[str]:
    """An empty account."""
    with local_aws(tmp_path_factory.mktemp("local_aws")) as address, warm_modules(tmp_path_factory.mktemp("python")):
        yield address


def client(endpoint: str, service: str) -> t.Any:
    """A boto3 client of that account."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


def parameter(endpoint: str, name: str) -> str:
    """A parameter of the deployment."""
    return str(client(endpoint, "ssm").get_parameter(Name=f"/sd-inference/demo/{name}")["Parameter"]["Value"])


def group_of(endpoint: str, name: str = NAME) -> dict[str, t.Any]:
    """The group."""
    found = client(endpoint, "autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    return dict(found["AutoScalingGroups"][0])


def step(run: t.Any) -> t.Any:
    """A run that must have succeeded."""
    assert run.code == 0, run.failures() or run.text
    return run


def test_a_wrong_deployment_id_is_one_clear_sentence() -> None:
    run = run_playbook(PROVISION, "http://127.0.0.1:1", "-e", "deployment_id=demo_1")
    assert run.code != 0
    assert "deployment_id is 'demo_1'" in run.failures()
    assert run.changed() == []


def test_every_kind_of_wrong_id_is_named() -> None:
    wrong = ["Demo", "d", "1demo", "a-name-that-is-too-long", "demo_1"]
    playbook = pathlib.Path(__file__).with_name("wrong_ids.yml")
    run = run_playbook(playbook, "http://127.0.0.1:1", "-e", json.dumps({"wrong_ids": [*wrong, "demo"]}))
    said = [line for line in run.failures().splitlines() if "deployment_id is" in line]
    assert [line.split("'")[1] for line in said] == wrong


def test_provision_and_destroy_twice(endpoint: str) -> None:
    check_then_make(endpoint)
    look_at_the_group(endpoint)
    look_at_the_bucket(endpoint)
    look_at_the_host_settings(endpoint)
    look_at_the_scaling(endpoint)
    second_run_changes_nothing_that_runs(endpoint)
    waking_adds_one_and_takes_none_away(endpoint)
    remove_twice(endpoint)


def test_a_fleet_of_older_scripts_keeps_its_network_template_and_instances(endpoint: str) -> None:
    subnet = older_fleet(endpoint)
    before = group_of(endpoint, "sd-inference-old")
    artifact = ("-e", f"fleet_host_artifact={ROOT / 'galaxy.yml'}")
    run = step(run_playbook(PROVISION, endpoint, "-e", "deployment_id=old", *artifact))
    assert "  inferred  stable is 1.0.0: 1 of 1 instances in service run it" in run.text
    group = group_of(endpoint, "sd-inference-old")
    kept = ("LaunchTemplate", "MinSize", "DesiredCapacity", "VPCZoneIdentifier")
    assert {name: group[name] for name in kept} == {name: before[name] for name in kept}
    assert [row["InstanceId"] for row in group["Instances"]] == [row["InstanceId"] for row in before["Instances"]]
    hooks = client(endpoint, "autoscaling").describe_lifecycle_hooks(AutoScalingGroupName="sd-inference-old")
    assert {hook["DefaultResult"] for hook in hooks["LifecycleHooks"]} == {"CONTINUE"}
    ec2, ssm = client(endpoint, "ec2"), client(endpoint, "ssm")
    host = json.loads(ssm.get_parameter(Name="/sd-inference/old/host")["Parameter"]["Value"])
    bucket, key = host["first_boot"]["artifact"].removeprefix("s3://").split("/", 1)
    assert (
        client(endpoint, "s3").get_object(Bucket=bucket, Key=key)["Body"].read() == (ROOT / "galaxy.yml").read_bytes()
    )
    wanted = host["launch_template_data"]["SecurityGroupIds"]
    network = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"]
    assert [row["VpcId"] for row in ec2.describe_security_groups(GroupIds=wanted)["SecurityGroups"]] == [network]
    # Its host answers no hook, and 300 s are too long for a test.
    client(endpoint, "autoscaling").delete_lifecycle_hook(
        AutoScalingGroupName="sd-inference-old", LifecycleHookName="terminate"
    )
    step(run_playbook(DESTROY, endpoint, "-e", "deployment_id=old", "-e", "confirm=old", "-e", "delete_data=true"))
    left = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["sd-inference-old"]}])
    assert left["SecurityGroups"] == []
    assert ec2.describe_subnets(SubnetIds=[subnet])["Subnets"] != []


def older_fleet(endpoint: str) -> str:
    """One instance by way of ``$Latest``, three parameters, a queue and an empty repository; its subnet."""
    ec2, autoscaling, ssm = (client(endpoint, service) for service in ("ec2", "autoscaling", "ssm"))
    for name, value in {"image-version": "1.0.0", "previous-version": "1.0.0", "deployment-status": "stable"}.items():
        ssm.put_parameter(Name=f"/sd-inference/old/{name}", Value=value, Type="String")
    client(endpoint, "ecr").create_repository(repositoryName="sd-inference-old")
    client(endpoint, "sqs").create_queue(QueueName="sd-task-queue-old", Attributes={"VisibilityTimeout": "600"})
    subnet = str(
        ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"][0]["SubnetId"]
    )
    image = ec2.describe_images()["Images"][0]["ImageId"]
    user_data = base64.b64encode(b"#!/bin/bash\ndocker run sd-inference-old:$VERSION\n").decode()
    data = {"ImageId": image, "InstanceType": "g4dn.xlarge", "UserData": user_data}
    ec2.create_launch_template(LaunchTemplateName="sd-inference-old", LaunchTemplateData=data)
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="sd-inference-old",
        LaunchTemplate={"LaunchTemplateName": "sd-inference-old", "Version": "$Latest"},
        MinSize=1,
        MaxSize=10,
        DesiredCapacity=1,
        VPCZoneIdentifier=subnet,
    )
    wait_until("the older host in service", lambda: states(endpoint, "sd-inference-old") == ["InService"], 60)
    return subnet


def states(endpoint: str, name: str) -> list[str]:
    """Lifecycle states of the instances of a group."""
    return [row["LifecycleState"] for row in group_of(endpoint, name)["Instances"]]


def check_then_make(endpoint: str) -> None:
    """Check mode on an empty account makes nothing and does not fail."""
    real = json.dumps({"fleet_bake_configure": True})
    assert "is a stock image" in step(run_playbook(PROVISION, endpoint, "--check", "-e", real)).text
    assert client(endpoint, "autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    made = step(run_playbook(PROVISION, endpoint))
    assert made.changed() != []
    assert "is a stock image" not in made.text


def look_at_the_group(endpoint: str) -> None:
    """Empty, on the numbered first version, with both hooks and its metrics."""
    group = group_of(endpoint)
    assert (group["MinSize"], group["DesiredCapacity"], group["MaxSize"]) == (0, 0, 10)
    assert group["LaunchTemplate"]["Version"] == "1"
    assert len(group["VPCZoneIdentifier"].split(",")) == 2
    assert len(group["EnabledMetrics"]) > 0
    hooks = client(endpoint, "autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=NAME)["LifecycleHooks"]
    assert {(hook["LifecycleHookName"], hook["HeartbeatTimeout"], hook["DefaultResult"]) for hook in hooks} == {
        ("launch", 120, "ABANDON"),
        ("terminate", 300, "CONTINUE"),
    }
    versions = client(endpoint, "ec2").describe_launch_template_versions(LaunchTemplateName=NAME)
    data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert "UserData" not in data
    assert "KeyName" not in data
    assert (data["MetadataOptions"]["HttpTokens"], data["MetadataOptions"]["HttpPutResponseHopLimit"]) == (
        "required",
        2,
    )


def look_at_the_bucket(endpoint: str) -> None:
    """Results are private: nothing can make an object public, and everything is encrypted."""
    s3, name = client(endpoint, "s3"), "sd-images-demo-123456789012"
    blocked = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    assert blocked == dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )
    assert s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]


def look_at_the_host_settings(endpoint: str) -> None:
    """What a release renders its template version from."""
    text = parameter(endpoint, "host")
    host = json.loads(text)
    assert len(text) <= 4096
    assert host["schema"] == 1
    assert host["launch_template_data"]["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    assert all(isinstance(value, str) for value in host["worker_env"].values())
    security = host["launch_template_data"]["SecurityGroupIds"]
    rules = client(endpoint, "ec2").describe_security_groups(GroupIds=security)["SecurityGroups"][0]
    assert rules["IpPermissions"] == []
    values = [parameter(endpoint, name) for name in ("image-version", "previous-version", "deployment-status")]
    assert values == ["none", "none", "stable"]


def look_at_the_scaling(endpoint: str) -> None:
    """The steps, and each alarm with its policy."""
    policies = client(endpoint, "autoscaling").describe_policies(AutoScalingGroupName=NAME)["ScalingPolicies"]
    steps = {policy["PolicyName"]: policy["StepAdjustments"] for policy in policies}
    assert [(row.get("MetricIntervalUpperBound"), row["ScalingAdjustment"]) for row in steps["scale-out"]] == [
        (40, 1),
        (91, 2),
        (None, 3),
    ]
    assert [row["ScalingAdjustment"] for row in steps["wake"]] == [1, 1]
    alarms = client(endpoint, "cloudwatch").describe_alarms(AlarmNamePrefix=f"{NAME}-")["MetricAlarms"]
    actions = {alarm["AlarmName"].removeprefix(f"{NAME}-"): alarm["AlarmActions"] for alarm in alarms}
    for policy in policies:
        assert actions[policy["PolicyName"]] == [policy["PolicyARN"]]
    topic = ["arn:aws:sns:us-east-1:123456789012:sd-releases-demo"]
    assert all(actions[name] == topic for name in ("dead-letters", "oldest-message", "release-open"))


def waking_adds_one_and_takes_none_away(endpoint: str) -> None:
    """From zero to one; a late alarm must not shrink a group that has been given instances since."""
    autoscaling = client(endpoint, "autoscaling")
    for hook in ("launch", "terminate"):  # no worker is there to answer them
        autoscaling.delete_lifecycle_hook(AutoScalingGroupName=NAME, LifecycleHookName=hook)
    for before, after in ((0, 1), (3, 3)):
        autoscaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=before)
        autoscaling.execute_policy(
            AutoScalingGroupName=NAME, PolicyName="wake", MetricValue=1.0, BreachThreshold=1.0, HonorCooldown=False
        )
        assert group_of(endpoint)["DesiredCapacity"] >= after
    autoscaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=0)
    wait_until("no instance left", lambda: not group_of(endpoint)["Instances"], 60)


def second_run_changes_nothing_that_runs(endpoint: str) -> None:
    """Neither after the first run nor after a release and the scaling have set version, capacity and ledger."""
    assert step(run_playbook(PROVISION, endpoint)).changed() == []
    ec2, autoscaling, ssm = (client(endpoint, service) for service in ("ec2", "autoscaling", "ssm"))
    ec2.create_launch_template_version(
        LaunchTemplateName=NAME,
        SourceVersion="1",
        LaunchTemplateData={"InstanceType": "g4dn.2xlarge"},
    )
    autoscaling.update_auto_scaling_group(
        AutoScalingGroupName=NAME,
        LaunchTemplate={"LaunchTemplateName": NAME, "Version": "2"},
        MinSize=0,
        DesiredCapacity=0,
    )
    stable = Release(version="1.0.0", digest=f"sha256:{'0' * 64}", release_id="0" * 12, template_version="2")
    for name, value in {"image-version": "1.0.0", "release": Ledger(sequence=1, stable=stable).to_json()}.items():
        ssm.put_parameter(Name=f"/sd-inference/demo/{name}", Value=value, Type="String", Overwrite=True)
    run = step(run_playbook(PROVISION, endpoint, "-e", "fleet_max_size=12", "-e", "fleet_instance_type=g5.xlarge"))
    assert run.changed() == [
        "diffusion.fleet.group : Update the settings of the group",
        "diffusion.fleet.ledger : Write the settings of the hosts",
    ]
    assert "Run deploy.yml" in run.messages()
    assert (group_of(endpoint)["MaxSize"], group_of(endpoint)["LaunchTemplate"]["Version"]) == (12, "2")
    assert parameter(endpoint, "image-version") == "1.0.0"


def remove_twice(endpoint: str) -> None:
    """Only with the confirmation; the data only when asked for."""
    refused = run_playbook(DESTROY, endpoint)
    assert refused.code != 0
    assert "-e confirm=demo" in refused.failures()
    kept = step(run_playbook(DESTROY, endpoint, "-e", "confirm=demo"))
    assert "-e delete_data=true" in kept.messages()
    assert [bucket["Name"] for bucket in client(endpoint, "s3").list_buckets()["Buckets"]] == [
        "sd-images-demo-123456789012"
    ]
    gone = step(run_playbook(DESTROY, endpoint, "-e", "confirm=demo", "-e", "delete_data=true"))
    assert gone.changed() == ["diffusion.fleet.storage : Remove the bucket with its objects"]
    left = client(endpoint, "ec2").describe_vpcs(Filters=[{"Name": "tag:DeploymentId", "Values": ["demo"]}])["Vpcs"]
    assert left == []
    assert client(endpoint, "sqs").list_queues().get("QueueUrls", []) == []
    assert client(endpoint, "ssm").get_parameters_by_path(Path="/sd-inference/demo", Recursive=True)["Parameters"] == []
