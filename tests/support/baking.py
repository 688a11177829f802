# SPDX-License-Identifier: GPL-3.0-or-later
"""What bake_ami.yml and prune.yml look at, made and read in boto3 calls."""

from __future__ import annotations

import json
import typing as t

import boto3

from tests.support.playbooks import ROOT, Run, run_playbook

NAME = "sd-inference-demo"
TAGS = [{"Key": "DeploymentId", "Value": "demo"}, {"Key": "Service", "Value": "StableDiffusion"}]
HOST_IMAGE = {"Key": "Purpose", "Value": "host-image"}
BUILDER = {"Key": "Purpose", "Value": "ami-builder"}
Client = t.Callable[[str], t.Any]


def client(endpoint: str, service: str) -> t.Any:
    """A boto3 client of that account."""
    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", **keys)


def deployment(aws: Client) -> None:
    """What provision.yml makes, as far as it matters here, in a second instead of half a minute."""
    ec2, ssm = aws("ec2"), aws("ssm")
    subnet = ec2.describe_subnets()["Subnets"][0]
    kinds = [{"ResourceType": "security-group", "Tags": TAGS}]
    ec2.create_security_group(GroupName=NAME, Description="none", VpcId=subnet["VpcId"], TagSpecifications=kinds)
    data = {"ImageId": base_image(ec2), "InstanceType": "g4dn.xlarge"}
    ec2.create_launch_template(LaunchTemplateName=NAME, LaunchTemplateData=data)
    aws("iam").create_instance_profile(InstanceProfileName=NAME)
    aws("s3").create_bucket(Bucket="sd-images-demo-123456789012")
    aws("ecr").create_repository(repositoryName=NAME)
    host = {"schema": 1, "launch_template_data": data, "worker_env": {}}
    values = {"host": json.dumps(host), "image-version": "none", "previous-version": "none"}
    for name, value in {**values, "deployment-status": "stable"}.items():
        ssm.put_parameter(Name=f"/sd-inference/demo/{name}", Value=value, Type="String")
    aws("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=NAME,
        LaunchTemplate={"LaunchTemplateName": NAME, "Version": "1"},
        MinSize=0,
        MaxSize=1,
        DesiredCapacity=0,
        VPCZoneIdentifier=subnet["SubnetId"],
    )


def base_image(ec2: t.Any) -> str:
    """A stock image."""
    return str(ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"])


def launch(ec2: t.Any, *tags: dict[str, str]) -> str:
    """An instance that somebody else has started."""
    kinds = [{"ResourceType": "instance", "Tags": [*TAGS, *tags]}]
    made = ec2.run_instances(ImageId=base_image(ec2), MinCount=1, MaxCount=1, TagSpecifications=kinds)
    return str(made["Instances"][0]["InstanceId"])


def older_image(ec2: t.Any) -> str:
    """What an earlier run has made."""
    instance = launch(ec2)
    kinds = [{"ResourceType": kind, "Tags": [*TAGS, HOST_IMAGE]} for kind in ("image", "snapshot")]
    made = str(ec2.create_image(InstanceId=instance, Name=f"older-{instance}", TagSpecifications=kinds)["ImageId"])
    ec2.terminate_instances(InstanceIds=[instance])
    return made


def images(ec2: t.Any) -> list[dict[str, t.Any]]:
    """The machine images of the deployment."""
    filters = [{"Name": "tag:Purpose", "Values": ["host-image"]}]
    return list(ec2.describe_images(Owners=["self"], Filters=filters)["Images"])


def builders(ec2: t.Any) -> list[str]:
    """The builders that run."""
    filters = [
        {"Name": "tag:Purpose", "Values": ["ami-builder"]},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    found = ec2.describe_instances(Filters=filters)["Reservations"]
    return [row["InstanceId"] for rows in found for row in rows["Instances"]]


def play(endpoint: str, name: str, *arguments: str) -> Run:
    """Run a playbook of the collection."""
    return run_playbook(ROOT / "playbooks" / f"{name}.yml", endpoint, *arguments)
