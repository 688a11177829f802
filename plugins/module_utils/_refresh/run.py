# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The use case behind module ``instance_refresh``: look, plan, act, wait."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws
from ansible_collections.diffusion.fleet.plugins.module_utils._aws.clock import Clock
from ansible_collections.diffusion.fleet.plugins.module_utils._aws.waiter import wait_until
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError, WaitTimeout
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh import api, members, plan, request, states
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.transform import plain, refresh_result

Document = t.Mapping[str, t.Any]

# Where each state is meant to end.
GOOD: t.Mapping[str, str] = {"started": "Successful", "cancelled": "Cancelled", "rolled_back": "RollbackSuccessful"}


@dataclasses.dataclass(frozen=True)
class Wish:
    """The options of the module."""

    state: str
    name: str
    strategy: str
    preferences: Document
    desired_configuration: Document
    on_active: str
    wait_for_transitioning_instances: bool
    wait: bool
    wait_timeout: int
    poll_seconds: int


def refresh_group(aws: Aws, wish: Wish, clock: Clock, check_mode: bool) -> dict[str, t.Any]:
    """Bring the group's refresh to the wished state; the module's result, with ``warnings`` and ``diff``."""
    client = aws.client("autoscaling")
    asked = asked_request(client, wish)
    group = api.describe_group(client, wish.name)
    steps = make_plan(group, api.describe_refreshes(client, wish.name), wish, asked)
    result = {
        "changed": steps.changed,
        "reason": steps.reason,
        "warnings": request.warnings_of(asked),
        "diff": {"before": plain(steps.before), "after": plain(steps.after)},
    }
    if check_mode:
        return result | shown(steps.refresh)
    refresh_id = act(client, wish, steps, asked, clock)
    refresh = follow(client, wish, refresh_id, steps, clock) if refresh_id else steps.refresh
    return result | shown(refresh)


def asked_request(client: t.Any, wish: Wish) -> dict[str, t.Any]:
    """The checked input of StartInstanceRefresh, empty for the states that start nothing."""
    if wish.state != "started":
        return {}
    asked = request.build_request(wish.name, wish.strategy, wish.preferences, wish.desired_configuration)
    shape = client.meta.service_model.operation_model("StartInstanceRefresh").input_shape
    members.check_members(shape, asked, botocore_version(client))
    return asked


def botocore_version(client: t.Any) -> str:
    """The version of botocore behind a client, as it tells AWS."""
    agent = str(client.meta.config.user_agent or "")
    return next((part.split("/")[1] for part in agent.split() if part.startswith("Botocore/")), "as installed")


def make_plan(group: Document, refreshes: t.Sequence[Document], wish: Wish, asked: Document) -> plan.Plan:
    """The plan for the wished state."""
    if wish.state == "cancelled":
        return plan.plan_cancelled(group, refreshes)
    if wish.state == "rolled_back":
        return plan.plan_rolled_back(group, refreshes)
    return plan.plan_started(group, refreshes, asked, wish.on_active)


def act(client: t.Any, wish: Wish, steps: plan.Plan, asked: Document, clock: Clock) -> str:
    """Make the plan's calls; the id of the refresh that they leave active, else of the one adopted, or empty."""
    refresh_id = str((steps.refresh or {}).get("InstanceRefreshId", ""))
    for action in steps.actions:
        if action == "cancel":
            refresh_id = api.cancel_refresh(client, wish.name, wish.wait_for_transitioning_instances)
        elif action == "rollback":
            refresh_id = api.rollback_refresh(client, wish.name)
        else:
            if steps.before["status"] is not None:  # otherwise one begun since is another's: AWS refuses and says so
                await_quiet(client, wish, clock)
            refresh_id = api.start_refresh(client, asked)
    return refresh_id


def await_quiet(client: t.Any, wish: Wish, clock: Clock) -> None:
    """Wait until no refresh is active: AWS refuses a second one while the first is being ended."""
    waited = wait_until(
        lambda: states.active_of(api.describe_refreshes(client, wish.name, limit=1)),
        lambda active: active is None,
        clock,
        wish.wait_timeout,
        wish.poll_seconds,
    )
    if not waited.ok:
        raise timed_out("The active refresh has not ended, no new one was started", waited.last, waited.elapsed, True)


def follow(client: t.Any, wish: Wish, refresh_id: str, steps: plan.Plan, clock: Clock) -> Document:
    """The refresh as it is now or, with ``wait``, once it has ended. Raises FleetError when it ended otherwise."""

    def look() -> Document:
        return api.describe_refreshes(client, wish.name, ids=[refresh_id])[0]

    if not wish.wait:
        return look()
    waited = wait_until(look, lambda seen: not states.is_active(seen), clock, wish.wait_timeout, wish.poll_seconds)
    if not waited.ok:
        raise timed_out("The refresh has not ended", waited.last, waited.elapsed, steps.changed)
    status = waited.last.get("Status")
    # Nothing was under way and nothing was to be done: whatever the last refresh came to is not this run's doing.
    if status == GOOD[wish.state] or (wish.state == "cancelled" and not steps.changed):
        return waited.last
    raise FleetError(
        f"The instance refresh of {wish.name} ended {status}: {waited.last.get('StatusReason', 'no reason given')}. "
        f"Expected {GOOD[wish.state]}; the scaling activities of the group say what happened to each instance.",
        changed=steps.changed,
        **shown(waited.last),
    )


def timed_out(what: str, refresh: Document | None, elapsed: float, changed: bool) -> WaitTimeout:
    """The error of a wait that ran out, with the last state seen."""
    last = refresh or {}
    return WaitTimeout(
        f"{what} after {elapsed:.0f} seconds: it is {last.get('Status')}, {last.get('PercentageComplete', 0)} % done. "
        "It goes on by itself; raise wait_timeout, or look again with instance_refresh_info.",
        changed=changed,
        elapsed=elapsed,
        **shown(refresh),
    )


def shown(refresh: Document | None) -> dict[str, t.Any]:
    """The refresh as the module returns it."""
    return {"refresh": refresh_result(refresh) if refresh else None}
