# SPDX-License-Identifier: GPL-3.0-or-later
"""An Auto Scaling group as provision.yml leaves it, for what makes its deployment in boto3 calls."""

from __future__ import annotations

import typing as t

BASE_IMAGE = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id"
"""AWS's public parameter that names the stock GPU image, which the inventories begin with."""
HOOKS = (
    ("launch", "autoscaling:EC2_INSTANCE_LAUNCHING", 900, "ABANDON"),
    ("terminate", "autoscaling:EC2_INSTANCE_TERMINATING", 300, "CONTINUE"),
)
Client = t.Callable[[str], t.Any]
"""A boto3 client of a service."""


def create_group(client: Client, name: str, most: int, **more: t.Any) -> None:
    """An empty group on the first version of the launch template of its name, with both hooks."""
    autoscaling = client("autoscaling")
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchTemplate={"LaunchTemplateName": name, "Version": "1"},
        MinSize=0,
        MaxSize=most,
        DesiredCapacity=0,
        VPCZoneIdentifier=client("ec2").describe_subnets()["Subnets"][0]["SubnetId"],
        HealthCheckGracePeriod=0,
        **more,
    )
    put_hooks(autoscaling, name)


def put_hooks(autoscaling: t.Any, group: str, **instead: t.Any) -> None:
    """Both hooks, with what is to be otherwise for both."""
    for name, transition, seconds, default in HOOKS:
        autoscaling.put_lifecycle_hook(
            AutoScalingGroupName=group,
            LifecycleHookName=name,
            LifecycleTransition=transition,
            **{"HeartbeatTimeout": seconds, "DefaultResult": default, **instead},
        )


def base_image(client: Client) -> str:
    """The stock GPU image."""
    return str(client("ssm").get_parameter(Name=BASE_IMAGE)["Parameter"]["Value"])
