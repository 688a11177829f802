# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What the statuses of an instance refresh mean."""

from __future__ import annotations

import typing as t

# A refresh in one of these still acts on the group. Baking and Cancelling count: AWS refuses another refresh meanwhile.
ACTIVE = frozenset({"Pending", "InProgress", "Baking", "Cancelling", "RollbackInProgress"})

OUTCOMES: t.Mapping[str, str] = {
    "Pending": "in_progress",
    "InProgress": "in_progress",
    "Baking": "in_progress",
    "Cancelling": "in_progress",
    "RollbackInProgress": "in_progress",
    "Successful": "succeeded",
    "Failed": "failed",
    "RollbackFailed": "failed",
    "RollbackSuccessful": "rolled_back",
    "Cancelled": "cancelled",
}


def is_active(refresh: t.Mapping[str, t.Any]) -> bool:
    """Whether the refresh still acts on its group."""
    return refresh.get("Status") in ACTIVE


def active_of(refreshes: t.Iterable[t.Mapping[str, t.Any]]) -> t.Mapping[str, t.Any] | None:
    """The active refresh among those of a group; a group has one at most."""
    return next((refresh for refresh in refreshes if is_active(refresh)), None)


def outcome_of(refresh: t.Mapping[str, t.Any]) -> str:
    """in_progress, succeeded, failed, rolled_back or cancelled; a status of the future counts as in progress."""
    return OUTCOMES.get(str(refresh.get("Status")), "in_progress")
