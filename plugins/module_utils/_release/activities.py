# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Scaling activities that speak against a release. Pure; AWS says it in words only.

Counted are launches that failed or were abandoned, and instances whose own health was reported: by their host
(SetInstanceHealth), or by a load balancer. What was ended from outside is nobody's fault: by EC2, for Spot, by hand, by
a refresh or a scale-in.
"""

from __future__ import annotations

import datetime as dt
import re
import typing as t

INSTANCE_ID = re.compile(r"\bi-[0-9a-f]+")
LATE = dt.timedelta(seconds=60)
"""How long after its beginning an activity may still appear: reads of Auto Scaling are eventually consistent."""
ABANDONED = re.compile(r"lifecycle action|abandon|unhealthy|health[ -]check", re.IGNORECASE)
"""Why a launch was cancelled by its own instance; one whose instance was scaled in meanwhile says none of it."""
OUTSIDE = re.compile(r"\bServer\.\w+|UserInitiated|Spot", re.IGNORECASE)
"""Termination reasons of EC2 that its guest has no part in."""
REPORTED = re.compile(r"\b(user|ELB|load balanc\w+|VPC Lattice)\b[^.]*\bhealth[ -]check", re.IGNORECASE)
"""A health check other than EC2's own, which notices what has been terminated or stopped."""


def failed(activities: t.Iterable[t.Mapping[str, t.Any]]) -> set[str]:
    """Instances whose launch failed or was abandoned, or that were reported unhealthy.

    A launch that failed for want of capacity has no instance, and is nobody's fault.
    """
    named = (INSTANCE_ID.search(row["Description"]) for row in activities if is_failure(row))
    return {match.group() for match in named if match}


def settled(activities: t.Sequence[t.Mapping[str, t.Any]], since: dt.datetime) -> dt.datetime:
    """Up to when these, of ``since`` or later, tell nothing new: whatever began before that is there, and over."""
    begun: list[dt.datetime] = [row["StartTime"] for row in activities]
    unfinished: list[dt.datetime] = [row["StartTime"] for row in activities if "EndTime" not in row]
    return max(since, min([max(begun) - LATE, *unfinished])) if begun else since


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
