# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The Auto Scaling group and its instance refreshes, as the release engine sees and moves them."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import aws_call
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import AwsError, NotFound
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.api import describe_refreshes
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.plan import Plan
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import Group, Member, Refresh


def read_group(autoscaling: t.Any, names: Names) -> Group:
    """The group with its instances.

    Raises: NotFound when the deployment was never provisioned.
    """
    found = describe_group(autoscaling, names.group)
    if found is None:
        raise NotFound(
            f"Deployment {names.deployment_id!r} is not provisioned here: there is no Auto Scaling group "
            f"{names.group}. Run provision.yml -e deployment_id={names.deployment_id} first, or check the region."
        )
    saved = _saved(found)
    own_id = saved.get("LaunchTemplateId") if saved.get("LaunchTemplateName") == names.group else None
    return Group(
        name=names.group,
        arn=found["AutoScalingGroupARN"],
        desired=found["DesiredCapacity"],
        maximum=found["MaxSize"],
        template_version=_version_of(saved, names.group),
        members=tuple(_member(row, names.group, own_id) for row in found.get("Instances", ())),
        mixed_policy=found.get("MixedInstancesPolicy"),
        suspended=frozenset(row["ProcessName"] for row in found.get("SuspendedProcesses", ())),
        template_name=saved.get("LaunchTemplateName"),
        maintenance_maximum=(found.get("InstanceMaintenancePolicy") or {}).get("MaxHealthyPercentage", -1),
    )


@aws_call("read the Auto Scaling group")
def describe_group(autoscaling: t.Any, name: str) -> dict[str, t.Any] | None:
    """The group as AWS answers it; None where there is none."""
    groups = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return dict(groups[0]) if groups else None


def _version_of(template: t.Mapping[str, t.Any], own: str, own_id: str | None = None) -> str | None:
    """The version, which is a bare number only of our own template: those of others count as none of ours."""
    name, identity, version = (template.get(key) for key in ("LaunchTemplateName", "LaunchTemplateId", "Version"))
    ours = name == own or (name is None and own_id in (None, identity))
    return version if ours else f"{name or identity}:{version}"


def _saved(group: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    mixed = group.get("MixedInstancesPolicy") or {}
    return dict(group.get("LaunchTemplate") or mixed.get("LaunchTemplate", {}).get("LaunchTemplateSpecification") or {})


def _member(row: t.Mapping[str, t.Any], own: str, own_id: str | None) -> Member:
    return Member(
        instance_id=row["InstanceId"],
        lifecycle=row["LifecycleState"],
        template_version=_version_of(row.get("LaunchTemplate") or {}, own, own_id),
    )


def read_newest_refresh(autoscaling: t.Any, group: str) -> Refresh | None:
    """The newest refresh of the group, whoever started it; none for a group that does not exist."""
    try:
        rows = describe_refreshes(autoscaling, group, limit=1)
    except AwsError as error:
        if error.details.get("code") != "ValidationError":
            raise
        return None
    return _refresh(rows[0], group) if rows else None


def _refresh(row: t.Mapping[str, t.Any], own: str) -> Refresh:
    started: dt.datetime | None = row.get("StartTime")
    return Refresh(
        refresh_id=row["InstanceRefreshId"],
        status=row["Status"],
        template_version=_version_of(_saved(row.get("DesiredConfiguration") or {}), own),
        percentage=row.get("PercentageComplete") or 0,
        reason=_reason(row),
        started_at=started.astimezone(dt.UTC) if started else None,
        skip_matching=(row.get("Preferences") or {}).get("SkipMatching", False),
    )


def _reason(row: t.Mapping[str, t.Any]) -> str:
    """Why it turned round, which may be an alarm's name and stands apart, and what AWS says of where it is now."""
    turned = (row.get("RollbackDetails") or {}).get("RollbackReason") or ""
    now = row.get("StatusReason") or ""
    return "; ".join(filter(None, (turned, "" if now and now in turned else now)))


@aws_call("read the scaling activities")
def read_activities(autoscaling: t.Any, group: str, since: dt.datetime, page: int) -> list[dict[str, t.Any]]:
    """Newest first, as AWS answers them, down to that time; ``page`` of them with each call, 100 at most."""
    found: list[dict[str, t.Any]] = []
    pages = autoscaling.get_paginator("describe_scaling_activities")
    for answer in pages.paginate(AutoScalingGroupName=group, PaginationConfig={"PageSize": page}):
        found += [row for row in answer["Activities"] if row["StartTime"] >= since]
        if any(row["StartTime"] < since for row in answer["Activities"]):
            break
    return found


@aws_call("read the tags of failed instances")
def of_release(ec2: t.Any, instances: t.Sequence[str], release_id: str) -> list[str]:
    """Those of the instances that were launched for that release."""
    filters = [
        {"Name": "resource-id", "Values": list(instances)},
        {"Name": "key", "Values": ["ReleaseId"]},
        {"Name": "value", "Values": [release_id]},
    ]
    pages = ec2.get_paginator("describe_tags").paginate(Filters=filters)
    return [row["ResourceId"] for page in pages for row in page["Tags"]]


def desired_configuration(names: Names, group: Group, template_version: str) -> dict[str, t.Any]:
    """The group's own configuration with only the template version replaced."""
    template = {"LaunchTemplateName": names.group, "Version": template_version}
    if not group.mixed_policy:
        return {"LaunchTemplate": template}
    launch = {**group.mixed_policy["LaunchTemplate"], "LaunchTemplateSpecification": template}
    return {"MixedInstancesPolicy": {**group.mixed_policy, "LaunchTemplate": launch}}


def forward_request(
    names: Names, group: Group, template_version: str, plan: Plan, alarms: t.Sequence[str], skip_matching: bool
) -> dict[str, t.Any]:
    """StartInstanceRefresh of a release: checkpoints, bake, alarms and AWS's own rollback."""
    checkpoints = [step.percentage for step in plan.judged]
    preferences: dict[str, t.Any] = {
        **_common_preferences(plan.min_healthy_percentage, plan.max_healthy_percentage, skip_matching),
        "AutoRollback": True,
        "AlarmSpecification": {"Alarms": list(alarms)},
        "BakeTime": plan.bake_time,
    }
    if len(checkpoints) > 1:
        preferences |= {"CheckpointPercentages": checkpoints, "CheckpointDelay": plan.checkpoint_delay}
    return _request(names, desired_configuration(names, group, template_version), preferences)


def back_request(
    names: Names, group: Group, template_version: str, skip_matching: bool, surge: bool
) -> dict[str, t.Any]:
    """StartInstanceRefresh back to stable: as fast as capacity allows, no checkpoints, no bake."""
    preferences = _common_preferences(*((100, 200) if surge else (90, 100)), skip_matching)
    return _request(names, desired_configuration(names, group, template_version), preferences)


def _common_preferences(low: int, high: int, skip_matching: bool) -> dict[str, t.Any]:
    # An explicit 100 would launch before it terminates and exceed the desired capacity; left out, it does not.
    room = {"MaxHealthyPercentage": high} if high > 100 else {}
    return {
        "MinHealthyPercentage": low,
        **room,
        "SkipMatching": skip_matching,
        # Busy workers are protected from scale-in: the termination hook lets them finish, waiting would stall.
        "ScaleInProtectedInstances": "Refresh",
        "StandbyInstances": "Ignore",
    }


def _request(names: Names, desired: dict[str, t.Any], preferences: dict[str, t.Any]) -> dict[str, t.Any]:
    return {
        "AutoScalingGroupName": names.group,
        "Strategy": "Rolling",
        "DesiredConfiguration": desired,
        "Preferences": preferences,
    }


@aws_call("set the group's template and capacity")
def update_group(autoscaling: t.Any, names: Names, group: Group, template_version: str, **capacity: int) -> None:
    """Set the template version, and MinSize or DesiredCapacity where given. Not while a refresh is active."""
    configuration = desired_configuration(names, group, template_version)
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=names.group, **configuration, **capacity)


@aws_call("wake the group")
def wake_group(autoscaling: t.Any, names: Names, size: int) -> None:
    """Set the desired capacity of an empty group."""
    autoscaling.set_desired_capacity(AutoScalingGroupName=names.group, DesiredCapacity=size, HonorCooldown=False)


@aws_call("suspend a scaling process")
def suspend(autoscaling: t.Any, group: str, process: str) -> None:
    """Suspend one process of the group."""
    autoscaling.suspend_processes(AutoScalingGroupName=group, ScalingProcesses=[process])


@aws_call("resume a scaling process")
def resume(autoscaling: t.Any, group: str, process: str) -> None:
    """Resume one process of the group."""
    autoscaling.resume_processes(AutoScalingGroupName=group, ScalingProcesses=[process])


@aws_call("end an instance")
def terminate_instance(autoscaling: t.Any, instance_id: str) -> None:
    """End one instance, for the group to replace."""
    autoscaling.terminate_instance_in_auto_scaling_group(InstanceId=instance_id, ShouldDecrementDesiredCapacity=False)
