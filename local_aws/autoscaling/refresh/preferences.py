# SPDX-License-Identifier: Apache-2.0
"""The preferences of an instance refresh: what AWS refuses, and its defaults."""

from __future__ import annotations

import itertools
import math

from local_aws.autoscaling.errors import ValidationError
from local_aws.autoscaling.model import Params

RANGES = {
    "MinHealthyPercentage": (0, 100),
    "MaxHealthyPercentage": (100, 200),
    "InstanceWarmup": (0, math.inf),
    "CheckpointDelay": (0, 172800),
    "BakeTime": (0, 172800),
}
CHOICES = {
    "ScaleInProtectedInstances": ("Refresh", "Ignore", "Wait"),
    "StandbyInstances": ("Terminate", "Ignore", "Wait"),
}
DEFAULTS: Params = {
    "SkipMatching": False,
    "AutoRollback": False,
    "ScaleInProtectedInstances": "Wait",
    "StandbyInstances": "Wait",
}


def check(given: Params) -> None:
    """Refuse what AWS refuses, whatever the group is."""
    for name, (low, high) in RANGES.items():
        if name in given and not low <= int(given[name]) <= high:
            raise ValidationError(f"{name} must be between {low} and {high}, but is {given[name]}.")
    for name, choices in CHOICES.items():
        if name in given and given[name] not in choices:
            raise ValidationError(f"{name} must be one of {', '.join(choices)}, but is {given[name]}.")
    if "MaxHealthyPercentage" in given and "MinHealthyPercentage" not in given:
        raise ValidationError("You must specify MinHealthyPercentage when you specify MaxHealthyPercentage.")
    _check_checkpoints(given)
    if len(given.get("AlarmSpecification", {}).get("Alarms", [])) > 10:
        raise ValidationError("You can specify at most 10 CloudWatch alarms.")


def _check_checkpoints(given: Params) -> None:
    """Ascending, unique, 1 to 100; a delay needs checkpoints."""
    points = given.get("CheckpointPercentages")
    if points is None:
        if "CheckpointDelay" in given:
            raise ValidationError("CheckpointDelay can only be specified together with CheckpointPercentages.")
        return
    if not points or any(not 1 <= int(p) <= 100 for p in points):
        raise ValidationError("CheckpointPercentages must be between 1 and 100.")
    if any(int(a) >= int(b) for a, b in itertools.pairwise(points)):
        raise ValidationError("CheckpointPercentages must be unique and in ascending order.")


def with_defaults(given: Params, policy: Params | None) -> tuple[Params, bool]:
    """All preferences, and whether the maximum was set explicitly; the maintenance policy fills what is left out."""
    full = DEFAULTS | given
    explicit = "MaxHealthyPercentage" in given
    low, high = 90, 100
    if policy and policy.get("MinHealthyPercentage", -1) >= 0:
        low, high = int(policy["MinHealthyPercentage"]), int(policy["MaxHealthyPercentage"])
        explicit = True
    full.setdefault("MinHealthyPercentage", low)
    full.setdefault("MaxHealthyPercentage", high)
    if full.get("CheckpointPercentages"):
        full.setdefault("CheckpointDelay", 3600)
    check_difference(full)
    return full, explicit


def check_difference(values: Params) -> None:
    """The two percentages lie at most 100 apart."""
    if values["MaxHealthyPercentage"] - values["MinHealthyPercentage"] > 100:
        raise ValidationError(
            "The difference between MaxHealthyPercentage and MinHealthyPercentage cannot be greater than 100."
        )
