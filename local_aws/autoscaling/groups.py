# SPDX-License-Identifier: Apache-2.0
"""Groups: created, updated, deleted, with the checks that AWS makes."""

from __future__ import annotations

import typing as t
import uuid

from local_aws.autoscaling import launch, lifecycle, policies, templates
from local_aws.autoscaling.errors import (
    AlreadyExists,
    ResourceInUse,
    ScalingActivityInProgress,
    ValidationError,
    group_not_found,
)
from local_aws.autoscaling.model import Group, Hook, Params

if t.TYPE_CHECKING:
    from local_aws.world import World

DEFAULTS: Params = {
    "DefaultCooldown": 300,
    "HealthCheckType": "EC2",
    "HealthCheckGracePeriod": 0,
    "TerminationPolicies": ["Default"],
    "NewInstancesProtectedFromScaleIn": False,
    "CapacityRebalance": False,
}
KEPT = (
    *DEFAULTS,
    "AvailabilityZones",
    "LoadBalancerNames",
    "TargetGroupARNs",
    "PlacementGroup",
    "VPCZoneIdentifier",
    "ServiceLinkedRoleARN",
    "MaxInstanceLifetime",
    "Context",
    "DesiredCapacityType",
    "DefaultInstanceWarmup",
    "TrafficSources",
    "InstanceMaintenancePolicy",
    "DeletionProtection",
    "AvailabilityZoneDistribution",
    "AvailabilityZoneImpairmentPolicy",
    "CapacityReservationSpecification",
    "InstanceLifecyclePolicy",
)
POLICIES = {
    "Default",
    "OldestInstance",
    "NewestInstance",
    "OldestLaunchTemplate",
    "OldestLaunchConfiguration",
    "ClosestToNextInstanceHour",
    "AllocationStrategy",
}
PROCESSES = (
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "ReplaceUnhealthy",
    "ScheduledActions",
)


def find(world: World, account: str, region: str, name: str) -> Group:
    """The group of that name, or the error AWS gives."""
    group = world.groups.get((account, region, name))
    if group is None:
        raise group_not_found(name)
    return group


def create(world: World, account: str, region: str, params: Params) -> Group:
    """CreateAutoScalingGroup."""
    name = str(params["AutoScalingGroupName"])
    if (account, region, name) in world.groups:
        raise AlreadyExists(
            f"AutoScalingGroup by this name already exists - A group with the name {name} already exists"
        )
    config = given_config(account, region, params)
    if config is None:
        raise ValidationError(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
            "MixedInstancesPolicy parameter."
        )
    low, high = int(params["MinSize"]), int(params["MaxSize"])
    desired = int(params.get("DesiredCapacity", low))
    check_sizes(low, high, desired)
    arn = f"arn:aws:autoscaling:{region}:{account}:autoScalingGroup:{uuid.uuid4()}:autoScalingGroupName/{name}"
    options = DEFAULTS | {key: params[key] for key in KEPT if key in params}
    check_options(account, region, options)
    group = Group(account, region, name, arn, world.now(), config, low, high, desired, options)
    set_tags(group, params.get("Tags") or [])
    for spec in params.get("LifecycleHookSpecificationList") or []:
        put_hook(group, spec)
    world.groups[account, region, name] = group
    world.timeline.record(world.now(), name, "scale", desired=desired, previous=0, cause="group created")
    return group


def given_config(account: str, region: str, params: Params) -> Params | None:
    """The configuration in a request, completed and checked; None when it names none."""
    given = {key: params[key] for key in ("LaunchTemplate", "MixedInstancesPolicy") if params.get(key)}
    if len(given) > 1:
        raise ValidationError(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
            "MixedInstancesPolicy parameter."
        )
    if params.get("LaunchConfigurationName"):
        raise ValidationError("Launch configurations are not available here; use a launch template.")
    return templates.complete_config(account, region, given) if given else None


def check_sizes(low: int, high: int, desired: int) -> None:
    """0 <= min <= desired <= max."""
    if low < 0 or high < 0:
        raise ValidationError("Min bound and max bound must not be negative")
    if low > high:
        raise ValidationError(f"Max bound, {high}, must be greater than or equal to min bound, {low}")
    if not low <= desired <= high:
        raise ValidationError(
            f"Desired capacity:{desired} must be between the specified min size:{low} and max size:{high}"
        )


def check_options(account: str, region: str, options: Params) -> None:
    """Check the other members, and derive the zones from the subnets."""
    if options.get("VPCZoneIdentifier"):
        options["AvailabilityZones"] = launch.check_subnets(account, region, str(options["VPCZoneIdentifier"]))
    if not options.get("AvailabilityZones"):
        raise ValidationError("At least one Availability Zone or VPC Subnet is required.")
    unknown = set(options["TerminationPolicies"]) - POLICIES
    if unknown:
        raise ValidationError(f"Invalid termination policies: {', '.join(sorted(unknown))}")
    if options["HealthCheckType"] not in ("EC2", "ELB", "VPC_LATTICE", "EBS"):
        raise ValidationError(f"Invalid Health Check Type: {options['HealthCheckType']}")
    check_maintenance(options.get("InstanceMaintenancePolicy"))


def check_maintenance(policy: Params | None) -> None:
    """Both percentages or neither (-1 removes them)."""
    if not policy:
        return
    low, high = policy.get("MinHealthyPercentage"), policy.get("MaxHealthyPercentage")
    if low is None or high is None or (low == -1) != (high == -1):
        raise ValidationError("Specify both MinHealthyPercentage and MaxHealthyPercentage of the maintenance policy.")
    if low != -1 and not (0 <= low <= 100 <= high <= 200 and high - low <= 100):
        raise ValidationError(f"Invalid instance maintenance policy: {low} to {high} percent.")


def update(world: World, group: Group, params: Params) -> None:
    """UpdateAutoScalingGroup: what is not named stays as it is."""
    config = given_config(group.account, group.region, params)
    refresh = group.refresh
    if config is not None and refresh is not None and refresh.desired is not None:
        raise ValidationError(
            "An active instance refresh with a desired configuration exists. All configuration options derived from "
            "the desired configuration are not available for update while the instance refresh is active."
        )
    low = int(params.get("MinSize", group.min_size))
    high = int(params.get("MaxSize", group.max_size))
    desired = int(params.get("DesiredCapacity", max(low, min(high, group.desired))))
    check_sizes(low, high, desired)
    options = group.options | {key: params[key] for key in KEPT if key in params}
    check_options(group.account, group.region, options)
    group.config = config or group.config
    group.min_size, group.max_size, group.options = low, high, options
    policies.set_desired(world, group, desired, "group updated")


def delete(world: World, group: Group, force: bool) -> None:
    """DeleteAutoScalingGroup."""
    if group.members and not force:
        if any(member.terminating for member in group.members.values()):
            raise ScalingActivityInProgress(
                "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group."
            )
        raise ResourceInUse(
            "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
            "still in the group."
        )
    for member in list(group.members.values()):
        launch.power_off(world, group, member)
    del world.groups[group.account, group.region, group.name]
    world.timeline.record(world.now(), group.name, "scale", desired=0, previous=group.desired, cause="group deleted")


def set_desired(world: World, group: Group, desired: int, honor_cooldown: bool) -> None:
    """SetDesiredCapacity."""
    if desired > group.max_size:
        raise ValidationError(
            f"New SetDesiredCapacity value {desired} is above max value {group.max_size} for the AutoScalingGroup."
        )
    if desired < group.min_size:
        raise ValidationError(
            f"New SetDesiredCapacity value {desired} is below min value {group.min_size} for the AutoScalingGroup."
        )
    if honor_cooldown and group.cooldown_until is not None and world.now() < group.cooldown_until:
        raise ScalingActivityInProgress(f"Scaling activity is in progress for the group {group.name}: cooldown.")
    policies.set_desired(world, group, desired, "SetDesiredCapacity")


def set_tags(group: Group, tags: list[Params]) -> None:
    """Create or overwrite tags."""
    for tag in tags:
        full = {"ResourceId": group.name, "ResourceType": "auto-scaling-group", "Value": "", "PropagateAtLaunch": True}
        group.tags[str(tag["Key"])] = full | tag | {"ResourceId": group.name, "ResourceType": "auto-scaling-group"}


def put_hook(group: Group, params: Params) -> Hook:
    """PutLifecycleHook."""
    hook = lifecycle.hook_from(params, group.hooks.get(params["LifecycleHookName"]))
    group.hooks[hook.name] = hook
    return hook
