# SPDX-License-Identifier: GPL-3.0-or-later
"""What the predecessor's `deploy-new-version.sh <id> <version> --percentage 20 --wait` asks of the AWS CLI, in order.

Its guide and its users' parameters give the sequence: look whether image and group exist and whether nothing is under
way, remember the version, write three parameters, start an instance refresh of the whole group, ask every 30 seconds
how far it is, write the last parameter. Where it is not known whether it made one call or more, one is counted.
"""

from __future__ import annotations

POLL_SECONDS = 30
Command = tuple[str, ...]


def preflight(deployment: str, version: str) -> list[Command]:
    """Before anything changes."""
    name, path = f"sd-inference-{deployment}", f"/sd-inference/{deployment}"
    return [
        ("ecr", "describe-images", "--repository-name", name, "--image-ids", f"imageTag={version}"),
        ("autoscaling", "describe-auto-scaling-groups", "--auto-scaling-group-names", name),
        ("ssm", "get-parameter", "--name", f"{path}/deployment-status", "--query", "Parameter.Value"),
        ("ssm", "get-parameter", "--name", f"{path}/image-version", "--query", "Parameter.Value"),
    ]


def opening(deployment: str, before: str, version: str) -> list[Command]:
    """The parameters, and the refresh of the whole group."""
    name = f"sd-inference-{deployment}"
    return [
        put(deployment, "previous-version", before),
        put(deployment, "image-version", version),
        put(deployment, "deployment-status", "in-progress"),
        (
            *("autoscaling", "describe-auto-scaling-groups", "--auto-scaling-group-names", name),
            *("--query", "AutoScalingGroups[0].DesiredCapacity"),
        ),
        (
            *("autoscaling", "start-instance-refresh", "--auto-scaling-group-name", name),
            *("--preferences", '{"MinHealthyPercentage": 90, "InstanceWarmup": 0}'),
            *("--query", "InstanceRefreshId", "--output", "text"),
        ),
    ]


def look(deployment: str, refresh: str) -> Command:
    """How far it is."""
    name = f"sd-inference-{deployment}"
    return (
        *("autoscaling", "describe-instance-refreshes", "--auto-scaling-group-name", name),
        *("--instance-refresh-ids", refresh, "--query", "InstanceRefreshes[0].Status", "--output", "text"),
    )


def closing(deployment: str) -> list[Command]:
    """The last parameter."""
    return [put(deployment, "deployment-status", "stable")]


def put(deployment: str, name: str, value: str) -> Command:
    """One of the three parameters."""
    target = f"/sd-inference/{deployment}/{name}"
    return ("ssm", "put-parameter", "--name", target, "--value", value, "--type", "String", "--overwrite")
