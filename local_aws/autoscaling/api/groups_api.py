# SPDX-License-Identifier: Apache-2.0
"""Operations on groups, their tags, processes and metrics."""

from __future__ import annotations

import typing as t

from moto.core.responses import ActionResult, EmptyResult

from local_aws.autoscaling import groups, views
from local_aws.autoscaling.api.base import Operations
from local_aws.autoscaling.errors import InstanceRefreshInProgress, ValidationError
from local_aws.autoscaling.model import Group, Params

METRICS = (
    "GroupMinSize",
    "GroupMaxSize",
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupPendingInstances",
    "GroupStandbyInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
)


class GroupOperations(Operations):
    """Operations on groups."""

    def create_auto_scaling_group(self) -> ActionResult:
        """CreateAutoScalingGroup."""
        groups.create(self.world, self.current_account, self.region, self.given)
        return EmptyResult()

    def update_auto_scaling_group(self) -> ActionResult:
        """UpdateAutoScalingGroup."""
        groups.update(self.world, self.group(), self.given)
        return EmptyResult()

    def delete_auto_scaling_group(self) -> ActionResult:
        """DeleteAutoScalingGroup."""
        groups.delete(self.world, self.group(), bool(self.given.get("ForceDelete")))
        return EmptyResult()

    def set_desired_capacity(self) -> ActionResult:
        """SetDesiredCapacity."""
        honor = bool(self.given.get("HonorCooldown"))
        groups.set_desired(self.world, self.group(), int(self.given["DesiredCapacity"]), honor)
        return EmptyResult()

    def describe_auto_scaling_groups(self) -> ActionResult:
        """DescribeAutoScalingGroups."""
        names, filters = self.given.get("AutoScalingGroupNames") or [], self.given.get("Filters") or []
        found = [g for g in self.all_groups() if (not names or g.name in names) and all(_fits(g, f) for f in filters)]
        items = [views.group_view(group) for group in found]
        if self.given.get("IncludeInstances") is False:
            items = [{k: v for k, v in item.items() if k != "Instances"} for item in items]
        return self.page("AutoScalingGroups", items)

    def describe_auto_scaling_instances(self) -> ActionResult:
        """DescribeAutoScalingInstances."""
        ids = self.given.get("InstanceIds") or []
        items = [
            views.instance_view(group, member)
            for group in self.all_groups()
            for member in group.members.values()
            if not ids or member.instance_id in ids
        ]
        return self.page("AutoScalingInstances", items, 50)

    def describe_scaling_activities(self) -> ActionResult:
        """DescribeScalingActivities, the newest first."""
        name, ids = self.given.get("AutoScalingGroupName"), self.given.get("ActivityIds") or []
        chosen = [self.group()] if name else self.all_groups()
        items = [
            views.activity_view(group, activity)
            for group in chosen
            for activity in group.activities
            if not ids or activity.activity_id in ids
        ]
        return self.page("Activities", items)

    def create_or_update_tags(self) -> ActionResult:
        """CreateOrUpdateTags."""
        for tag in self.given["Tags"]:
            groups.set_tags(self._tagged(tag), [tag])
        return EmptyResult()

    def delete_tags(self) -> ActionResult:
        """DeleteTags."""
        for tag in self.given["Tags"]:
            self._tagged(tag).tags.pop(tag["Key"], None)
        return EmptyResult()

    def _tagged(self, tag: Params) -> Group:
        """The group that a tag is on."""
        return groups.find(self.world, self.current_account, self.region, str(tag.get("ResourceId")))

    def describe_tags(self) -> ActionResult:
        """DescribeTags."""
        filters = self.given.get("Filters") or []
        tags = [tag for group in self.all_groups() for tag in views.tags_of(group)]
        return self.page("Tags", [tag for tag in tags if all(_tag_fits(tag, f) for f in filters)])

    def suspend_processes(self) -> ActionResult:
        """SuspendProcesses; all of them when none is named."""
        group = self.group()
        for name in _processes(self.given):
            group.suspended[name] = f"User suspended at {self.world.now():%FT%TZ}"
        return EmptyResult()

    def resume_processes(self) -> ActionResult:
        """ResumeProcesses."""
        group = self.group()
        for name in _processes(self.given):
            group.suspended.pop(name, None)
        return EmptyResult()

    def enable_metrics_collection(self) -> ActionResult:
        """EnableMetricsCollection."""
        if self.given.get("Granularity") != "1Minute":
            raise ValidationError("Granularity must be 1Minute")
        wanted = self.given.get("Metrics") or list(METRICS)
        group = self.group()
        group.metrics = [name for name in METRICS if name in wanted or name in group.metrics]
        return EmptyResult()

    def disable_metrics_collection(self) -> ActionResult:
        """DisableMetricsCollection."""
        group, unwanted = self.group(), self.given.get("Metrics") or list(METRICS)
        group.metrics = [name for name in group.metrics if name not in unwanted]
        return EmptyResult()

    def put_notification_configuration(self) -> ActionResult:
        """PutNotificationConfiguration: stored."""
        group, topic = self.group(), self.given["TopicARN"]
        kept = [n for n in group.notifications if n["TopicARN"] != topic]
        group.notifications = kept + [
            {"AutoScalingGroupName": group.name, "TopicARN": topic, "NotificationType": kind}
            for kind in self.given["NotificationTypes"]
        ]
        return EmptyResult()

    def delete_notification_configuration(self) -> ActionResult:
        """DeleteNotificationConfiguration."""
        group = self.group()
        group.notifications = [n for n in group.notifications if n["TopicARN"] != self.given["TopicARN"]]
        return EmptyResult()

    def describe_notification_configurations(self) -> ActionResult:
        """DescribeNotificationConfigurations."""
        names = self.given.get("AutoScalingGroupNames") or []
        chosen = [group for group in self.all_groups() if not names or group.name in names]
        return self.page("NotificationConfigurations", [n for group in chosen for n in group.notifications])

    def put_warm_pool(self) -> ActionResult:
        """PutWarmPool: refused, never half done."""
        if self.group().refresh is not None:
            raise InstanceRefreshInProgress("An instance refresh is in progress.")
        raise ValidationError("Warm pools are not available in local_aws.")

    def describe_warm_pool(self) -> ActionResult:
        """DescribeWarmPool: there is none."""
        self.group()
        return ActionResult({"Instances": []})

    def describe_account_limits(self) -> ActionResult:
        """DescribeAccountLimits."""
        return ActionResult(
            {
                "MaxNumberOfAutoScalingGroups": 500,
                "MaxNumberOfLaunchConfigurations": 200,
                "NumberOfAutoScalingGroups": len(self.all_groups()),
                "NumberOfLaunchConfigurations": 0,
            }
        )

    def describe_launch_configurations(self) -> ActionResult:
        """DescribeLaunchConfigurations: there are none."""
        return ActionResult({"LaunchConfigurations": []})

    def describe_load_balancers(self) -> ActionResult:
        """DescribeLoadBalancers: none is attached."""
        self.group()
        return ActionResult({"LoadBalancers": []})

    def describe_load_balancer_target_groups(self) -> ActionResult:
        """DescribeLoadBalancerTargetGroups: none is attached."""
        self.group()
        return ActionResult({"LoadBalancerTargetGroups": []})

    def describe_scheduled_actions(self) -> ActionResult:
        """DescribeScheduledActions: there are none."""
        return ActionResult({"ScheduledUpdateGroupActions": []})


def _processes(given: Params) -> list[str]:
    """The processes that a request names, all by default."""
    named = list(given.get("ScalingProcesses") or groups.PROCESSES)
    unknown = set(named) - set(groups.PROCESSES)
    if unknown:
        raise ValidationError(f"Invalid process name(s): {', '.join(sorted(unknown))}")
    return named


def _fits(group: Group, condition: Params) -> bool:
    """Whether a group passes one filter."""
    name, values = str(condition["Name"]), condition.get("Values") or []
    if name == "tag-key":
        return any(key in values for key in group.tags)
    if name == "tag-value":
        return any(tag.get("Value") in values for tag in group.tags.values())
    if name.startswith("tag:"):
        tag = group.tags.get(name[4:])
        return tag is not None and tag.get("Value") in values
    raise ValidationError(f"Filter type {name} is not correct. Allowed Filter types are: tag-key, tag-value, tag:<key>")


_TAG_FILTERS = {
    "auto-scaling-group": "ResourceId",
    "key": "Key",
    "value": "Value",
    "propagate-at-launch": "PropagateAtLaunch",
}


def _tag_fits(tag: Params, condition: Params) -> bool:
    """Whether a tag passes one filter."""
    member: t.Any = tag.get(_TAG_FILTERS.get(str(condition["Name"]), ""), "")
    return str(member).lower() in [str(value).lower() for value in condition.get("Values") or []]
