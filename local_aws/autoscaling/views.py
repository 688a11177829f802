# SPDX-License-Identifier: Apache-2.0
"""What Describe* operations show: dictionaries in the shape of the API."""

from __future__ import annotations

from local_aws.autoscaling.model import Activity, Group, Hook, Member, Params, Policy, Refresh


def group_view(group: Group) -> Params:
    """An AutoScalingGroup."""
    config = group.config
    return (
        {
            "AutoScalingGroupName": group.name,
            "AutoScalingGroupARN": group.arn,
            "MinSize": group.min_size,
            "MaxSize": group.max_size,
            "DesiredCapacity": group.desired,
            "CreatedTime": group.created,
            "Tags": [group.tags[key] for key in sorted(group.tags)],
            "Instances": [member_view(member) for member in group.members.values()],
            "SuspendedProcesses": [
                {"ProcessName": name, "SuspensionReason": why} for name, why in sorted(group.suspended.items())
            ],
            "EnabledMetrics": [{"Metric": metric, "Granularity": "1Minute"} for metric in group.metrics],
            "LoadBalancerNames": [],
            "TargetGroupARNs": [],
            "TrafficSources": [],
        }
        | config
        | group.options
    )


def member_view(member: Member) -> Params:
    """An instance within its group."""
    return {
        "InstanceId": member.instance_id,
        "InstanceType": member.instance_type,
        "AvailabilityZone": member.zone,
        "LifecycleState": member.state,
        "HealthStatus": member.health,
        "ImageId": member.image_id,
        "LaunchTemplate": member.template.as_spec(),
        "ProtectedFromScaleIn": member.protected,
    }


def instance_view(group: Group, member: Member) -> Params:
    """An instance as DescribeAutoScalingInstances shows it; there health is written in capitals."""
    return member_view(member) | {"AutoScalingGroupName": group.name, "HealthStatus": member.health.upper()}


def hook_view(group: Group, hook: Hook) -> Params:
    """A lifecycle hook."""
    view = {
        "LifecycleHookName": hook.name,
        "AutoScalingGroupName": group.name,
        "LifecycleTransition": hook.transition,
        "HeartbeatTimeout": hook.heartbeat,
        "GlobalTimeout": hook.global_timeout,
        "DefaultResult": hook.default_result,
        "NotificationTargetARN": hook.target_arn,
        "RoleARN": hook.role_arn,
        "NotificationMetadata": hook.metadata,
    }
    return {key: value for key, value in view.items() if value is not None}


def policy_view(group: Group, policy: Policy) -> Params:
    """A scaling policy."""
    return (
        {"Alarms": [], "StepAdjustments": []}
        | policy.params
        | {"PolicyARN": policy.arn, "AutoScalingGroupName": group.name}
    )


def activity_view(group: Group, activity: Activity) -> Params:
    """A scaling activity."""
    view = {
        "ActivityId": activity.activity_id,
        "AutoScalingGroupName": group.name,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": activity.start,
        "EndTime": activity.end,
        "StatusCode": activity.status,
        "StatusMessage": activity.message,
        "Progress": activity.progress,
        "AutoScalingGroupARN": group.arn,
        "Details": "{}",
    }
    return {key: value for key, value in view.items() if value is not None}


def refresh_view(group: Group, refresh: Refresh) -> Params:
    """An instance refresh."""
    progress = {"PercentageComplete": refresh.percent, "InstancesToUpdate": refresh.remaining}
    view = {
        "InstanceRefreshId": refresh.refresh_id,
        "AutoScalingGroupName": group.name,
        "Status": refresh.status,
        "StatusReason": refresh.reason,
        "StartTime": None if refresh.status == "Pending" else refresh.start,
        "EndTime": refresh.end,
        "ProgressDetails": {"LivePoolProgress": progress},
        "Preferences": refresh.preferences,
        "DesiredConfiguration": refresh.desired,
        "Strategy": refresh.strategy,
        "RollbackDetails": _rollback_view(refresh),
    } | progress
    return {key: value for key, value in view.items() if value is not None}


def _rollback_view(refresh: Refresh) -> Params | None:
    """The RollbackDetails of a refresh that turned round."""
    if refresh.rollback is None:
        return None
    details = refresh.rollback
    live = {
        "PercentageComplete": details["PercentageCompleteOnRollback"],
        "InstancesToUpdate": details["InstancesToUpdateOnRollback"],
    }
    return details | {"ProgressDetailsOnRollback": {"LivePoolProgress": live}}


def tags_of(group: Group) -> list[Params]:
    """All tags of a group."""
    return [dict(tag) for tag in group.tags.values()]
