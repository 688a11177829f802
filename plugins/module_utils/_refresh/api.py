# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The API calls of instance refreshes, one function each.

Beside the errors of every call, these raise ``Conflict`` when a refresh is under way and a start was asked for, and
``NotFound`` when a cancel or a rollback finds none active; ``details["code"]`` keeps the code of AWS.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import aws_call
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import AwsError, Conflict, FleetError, NotFound

P = t.ParamSpec("P")
R = t.TypeVar("R")

PAGE = 100  # the most that one answer of DescribeInstanceRefreshes holds

# The error that a code stands for, and what to do about it.
ERRORS: t.Mapping[str, tuple[type[FleetError], str]] = {
    "InstanceRefreshInProgress": (Conflict, "Wait until it has ended, or cancel it or roll it back first."),
    "ActiveInstanceRefreshNotFound": (NotFound, "It has ended: look at what the group runs now."),
    "IrreversibleInstanceRefresh": (
        Conflict,
        "Cancel it, then start another one with the template version to return to.",
    ),
    "ResourceContention": (AwsError, "Something else is changing the group: try again in a moment."),
}


def refresh_errors(function: t.Callable[P, R]) -> t.Callable[P, R]:
    """Decorate a call: the refusals that callers act upon become errors of their own type."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except AwsError as error:
            found = ERRORS.get(str(error.details.get("code", "")).removesuffix("Fault"))
            if found is None:
                raise
            kind, hint = found
            raise kind(f"{error.message.rstrip('.')}. {hint}", **error.details) from error

    return wrapper


@refresh_errors
@aws_call("start the instance refresh")
def start_refresh(client: t.Any, request: t.Mapping[str, t.Any]) -> str:
    """Start a refresh; its id. ``request`` is the whole input of the API. Raises Conflict when one is active."""
    return str(client.start_instance_refresh(**request)["InstanceRefreshId"])


def describe_refreshes(
    client: t.Any, group: str, ids: t.Sequence[str] | None = None, limit: int | None = None
) -> list[dict[str, t.Any]]:
    """The refreshes of a group as AWS answers them, newest first, all pages; at most ``limit`` when given."""
    request: dict[str, t.Any] = {"AutoScalingGroupName": group, "MaxRecords": min(limit or PAGE, PAGE)}
    if ids:
        request["InstanceRefreshIds"] = list(ids)
    found: list[dict[str, t.Any]] = []
    token = ""
    while True:  # botocore has no paginator for this operation
        page = describe_page(client, request | ({"NextToken": token} if token else {}))
        found.extend(page.get("InstanceRefreshes", []))
        token = page.get("NextToken") or ""
        if not token or (limit is not None and len(found) >= limit):
            return found[:limit]


def describe_refresh(client: t.Any, group: str, refresh_id: str) -> dict[str, t.Any]:
    """One refresh as AWS answers it. Raises NotFound when AWS does not know it (any more)."""
    found = describe_refreshes(client, group, [refresh_id])
    if not found:
        raise NotFound(
            f"AWS does not know instance refresh {refresh_id} of {group}: it forgets them after six weeks, and with "
            "their group. Look with instance_refresh_info."
        )
    return found[0]


@aws_call("read the instance refreshes")
def describe_page(client: t.Any, request: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """One page of refreshes."""
    return dict(client.describe_instance_refreshes(**request))


@refresh_errors
@aws_call("cancel the instance refresh")
def cancel_refresh(client: t.Any, group: str, wait_for_transitioning: bool = True) -> str:
    """Cancel the active refresh; its id. Without waiting, launches and terminations under way are left to themselves.

    Raises NotFound when none is active.
    """
    # The member is newer than the operation: sent only where it says something else than its default.
    extra = {} if wait_for_transitioning else {"WaitForTransitioningInstances": False}
    return str(client.cancel_instance_refresh(AutoScalingGroupName=group, **extra)["InstanceRefreshId"])


@refresh_errors
@aws_call("roll the instance refresh back")
def rollback_refresh(client: t.Any, group: str) -> str:
    """Roll the active refresh back; its id. Raises NotFound when none is active, Conflict when it cannot go back."""
    return str(client.rollback_instance_refresh(AutoScalingGroupName=group)["InstanceRefreshId"])


@aws_call("read the Auto Scaling group")
def describe_group(client: t.Any, group: str) -> dict[str, t.Any]:
    """The group as AWS answers it. Raises NotFound when there is none of that name."""
    found = client.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    if not found:
        raise NotFound(f"There is no Auto Scaling group {group!r}. Check the name and the region.", group=group)
    return dict(found[0])
