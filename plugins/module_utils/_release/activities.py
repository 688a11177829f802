# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Scaling activities that speak against a release. Pure; AWS says it in words only.

Counted are launches that failed or were abandoned, and instances whose own health was reported: by their host
(SetInstanceHealth), or by a load balancer. What was ended from outside is nobody's fault: by EC2, for Spot, by hand, by
a refresh or a scale-in.
"""

from __future__ import annotations

import re
import typing as t

ABANDONED = re.compile(r"lifecycle action|abandon|unhealthy|health[ -]check", re.IGNORECASE)
"""Why a launch was cancelled by its own instance; one whose instance was scaled in meanwhile says none of it."""
OUTSIDE = re.compile(r"\bServer\.\w+|UserInitiated|Spot", re.IGNORECASE)
"""Termination reasons of EC2 that its guest has no part in."""
REPORTED = re.compile(r"\b(user|ELB|load balanc\w+|VPC Lattice)\b[^.]*\bhealth[ -]check", re.IGNORECASE)
"""A health check other than EC2's own, which notices what has been terminated or stopped."""


def is_failure(activity: t.Mapping[str, t.Any]) -> bool:
    """Whether the activity tells of an instance that failed by itself."""
    description = activity.get("Description", "")
    if description.startswith("Launching"):
        return _failed_launch(activity["StatusCode"], activity.get("StatusMessage") or "")
    return description.startswith("Terminating") and REPORTED.search(activity.get("Cause", "")) is not None


def _failed_launch(status: str, message: str) -> bool:
    if OUTSIDE.search(message):
        return False
    return status == "Failed" or (status == "Cancelled" and ABANDONED.search(message) is not None)
