# SPDX-License-Identifier: Apache-2.0
"""Scaling policies: the arithmetic, and what executing one does."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import typing as t

from local_aws.autoscaling.errors import ScalingActivityInProgress, ValidationError
from local_aws.autoscaling.model import Group, Params, Policy

if t.TYPE_CHECKING:
    from local_aws.world import World


def step_for(steps: list[Params], breach: float) -> int | None:
    """The adjustment of the step that holds a breach: lower bound inclusive, upper bound exclusive."""
    for step in steps:
        lower = step.get("MetricIntervalLowerBound")
        upper = step.get("MetricIntervalUpperBound")
        above = lower is None or breach >= float(lower)
        below = upper is None or breach < float(upper)
        # Below the threshold AWS mirrors the bounds: there the upper bound is the inclusive one.
        if breach < 0 or (upper is not None and float(upper) <= 0):
            above = lower is None or breach > float(lower)
            below = upper is None or breach <= float(upper)
        if above and below:
            return int(step["ScalingAdjustment"])
    return None


def adjusted(base: int, kind: str, adjustment: int, magnitude: int = 0) -> int:
    """A capacity after an adjustment; percentages are rounded away from zero below one, towards zero above."""
    if kind == "ExactCapacity":
        return adjustment
    if kind == "ChangeInCapacity":
        return base + adjustment
    change = base * adjustment / 100
    whole = math.trunc(change) if abs(change) >= 1 else int(math.copysign(math.ceil(abs(change)), change))
    if magnitude and 0 < abs(whole) < magnitude:
        whole = int(math.copysign(magnitude, whole))
    return base + whole


def execute(
    world: World, group: Group, policy: Policy, value: float | None, threshold: float | None, honor: bool = True
) -> None:
    """Change the desired capacity as the policy says."""
    params = policy.params
    if policy.kind == "SimpleScaling":
        _simple(world, group, params, honor)
    elif policy.kind == "StepScaling":
        if value is None or threshold is None:
            raise ValidationError("MetricValue and BreachThreshold are required for policies of type StepScaling")
        _step(world, group, params, value - threshold)
    else:
        raise ValidationError(f"ExecutePolicy is not supported for policies of type {policy.kind}")


def _simple(world: World, group: Group, params: Params, honor: bool) -> None:
    """A simple policy: one adjustment, then the cooldown."""
    if honor and group.cooldown_until is not None and world.now() < group.cooldown_until:
        raise ScalingActivityInProgress("Scaling activity is in progress: the cooldown of the group is not over.")
    wanted = adjusted(
        group.desired,
        params["AdjustmentType"],
        int(params["ScalingAdjustment"]),
        int(params.get("MinAdjustmentMagnitude") or 0),
    )
    _apply(world, group, wanted, params["PolicyName"])
    seconds = int(params.get("Cooldown") or group.options["DefaultCooldown"])
    group.cooldown_until = world.now() + dt.timedelta(seconds=seconds)


def _step(world: World, group: Group, params: Params, breach: float) -> None:
    """A step policy: instances still warming up count towards a scale-out, and forbid a scale-in."""
    adjustment = step_for(params["StepAdjustments"], breach)
    if adjustment is None:
        return
    warmup = params.get("EstimatedInstanceWarmup")
    seconds = float(group.warmup if warmup is None else warmup)
    warming = group.policy_launches + sum(
        m.by_policy and m.active and not m.ready(world.now(), seconds) for m in group.members.values()
    )
    magnitude = int(params.get("MinAdjustmentMagnitude") or 0)
    base = max(0, group.desired - warming)
    wanted = adjusted(base, params["AdjustmentType"], adjustment, magnitude)
    if wanted > base:
        wanted = max(wanted, group.desired)
    elif warming:
        return
    _apply(world, group, wanted, params["PolicyName"])


def _apply(world: World, group: Group, wanted: int, name: str) -> None:
    """Set the desired capacity within the group's limits; suspended alarms change nothing."""
    if "AlarmNotification" in group.suspended:
        return
    wanted = max(group.min_size, min(group.max_size, wanted))
    group.policy_launches += max(0, wanted - group.desired)
    set_desired(world, group, wanted, f"policy {name}")


def set_desired(world: World, group: Group, desired: int, cause: str) -> None:
    """Change the desired capacity and write it down."""
    if desired != group.desired:
        old, group.desired = group.desired, desired
        group.policy_launches = min(group.policy_launches, max(0, desired - len(group.active_members())))
        world.timeline.record(world.now(), group.name, "scale", desired=desired, previous=old, cause=cause)


def check_policy(params: Params) -> Params:
    """A policy as PutScalingPolicy accepts it, with the defaults filled in."""
    kind = params.get("PolicyType", "SimpleScaling")
    full = {"PolicyType": kind, "Enabled": True} | params
    adjustments = ("ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity")
    if kind in ("SimpleScaling", "StepScaling") and params.get("AdjustmentType") not in adjustments:
        raise ValidationError(f"Invalid adjustment type: {params.get('AdjustmentType')}")
    if kind == "SimpleScaling" and "ScalingAdjustment" not in params:
        raise ValidationError("ScalingAdjustment is required for policies of type SimpleScaling")
    if kind == "StepScaling":
        check_steps(params.get("StepAdjustments") or [])
    if kind == "TargetTrackingScaling" and not params.get("TargetTrackingConfiguration"):
        raise ValidationError("TargetTrackingConfiguration is required for policies of type TargetTrackingScaling")
    return full


def check_steps(steps: list[Params]) -> None:
    """Steps must exist, not overlap and not leave gaps."""
    if not steps:
        raise ValidationError("StepAdjustments are required for policies of type StepScaling")
    bounds = sorted(
        (float(s.get("MetricIntervalLowerBound", -math.inf)), float(s.get("MetricIntervalUpperBound", math.inf)))
        for s in steps
    )
    if any(low >= high for low, high in bounds):
        raise ValidationError("The lower bound of a step adjustment must be less than its upper bound")
    for (_unused, high), (low, _unused) in itertools.pairwise(bounds):
        if low < high:
            raise ValidationError("StepAdjustment intervals can't overlap")
        if low > high:
            raise ValidationError("StepAdjustment intervals can't have gaps between them")
