# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The use case behind module ``instance_refresh``: look, plan, act, wait."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws, is_passing
from ansible_collections.diffusion.fleet.plugins.module_utils._aws.clock import Clock
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import Conflict, FleetError, NotFound, WaitTimeout
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh import api, plan, request, states
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.options import Document
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.progress import line_of
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.transform import plain, refresh_result
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.wish import (
    GOOD,
    Course,
    Wish,
    checked_request,
)


@dataclasses.dataclass(frozen=True)
class Look:
    """What was seen of the refresh that is waited for."""

    course: Course
    refresh: Document | None
    over: bool
    started: bool = False
    """The wanted refresh was started just now: it is to be looked at, at once."""


def refresh_group(
    aws: Aws, wish: Wish, clock: Clock, check_mode: bool, context: Document | None = None
) -> dict[str, t.Any]:
    """Bring the group's refresh to the wished state; the module's result, with ``warnings`` and ``diff``.

    With a ``context``, an empty one at first, the call ends as soon as there is something new to say; its result then
    holds the context of the next call.
    """
    client = aws.client("autoscaling")
    asked = checked_request(client, wish)
    if check_mode:
        return preview(make_plan(client, wish, asked))
    course = Course(**context) if context else begin(client, wish, asked, clock)
    return follow(client, wish, asked, course, clock, stepping=context is not None)


def preview(steps: plan.Plan) -> dict[str, t.Any]:
    """The result of check mode: what would be done, and the refresh as it would be."""
    return {"changed": steps.changed, **told(steps), "lines": [], "done": True, "context": {}, **shown(steps.refresh)}


def told(steps: plan.Plan) -> dict[str, t.Any]:
    """What a plan says of itself."""
    return {
        "reason": steps.reason,
        "warnings": list(steps.warnings),
        "diff": {"before": plain(steps.before), "after": plain(steps.after)},
    }


def make_plan(client: t.Any, wish: Wish, asked: Document) -> plan.Plan:
    """The plan for the wished state, from the group as it is now."""
    group = api.describe_group(client, wish.name)
    refreshes = api.describe_refreshes(client, wish.name)
    if wish.state == "cancelled":
        return plan.plan_cancelled(group, refreshes)
    if wish.state == "rolled_back":
        return plan.plan_rolled_back(group, refreshes)
    steps = plan.plan_started(group, refreshes, asked, wish.on_active)
    return dataclasses.replace(steps, warnings=(*steps.warnings, *request.warnings_of(asked)))


def begin(client: t.Any, wish: Wish, asked: Document, clock: Clock) -> Course:
    """Plan and make the first call of the plan.

    Where the group has moved on between the two, the plan is made once more from what it is by then.
    """
    try:
        return first_call(client, wish, asked, make_plan(client, wish, asked), clock)
    except (NotFound, Conflict) as error:
        if not error.details.get("code"):  # the plan itself says that it cannot be
            raise
    return first_call(client, wish, asked, make_plan(client, wish, asked), clock)


def first_call(client: t.Any, wish: Wish, asked: Document, steps: plan.Plan, clock: Clock) -> Course:
    """Make the first call of a plan."""
    refresh_id = str((steps.refresh or {}).get("InstanceRefreshId", ""))
    if steps.ending == "cancel":
        refresh_id = api.cancel_refresh(client, wish.name, wish.wait_for_transitioning_instances)
    elif steps.ending == "rollback":
        refresh_id = api.rollback_refresh(client, wish.name)
    clearing = steps.starts and steps.before["status"] is not None
    if steps.starts and not clearing:
        refresh_id = api.start_refresh(client, asked)
    return Course(
        **told(steps),
        since=clock.now().isoformat(),
        changed=bool(steps.ending) or (steps.starts and not clearing),
        refresh_id=refresh_id,
        clearing=clearing,
    )


def follow(
    client: t.Any, wish: Wish, asked: Document, course: Course, clock: Clock, stepping: bool
) -> dict[str, t.Any]:
    """Look until it is over or, when stepping, until there is something new to say."""
    lines: list[str] = []
    last: Look | None = None
    while True:
        seen = look(client, wish, asked, course, clock)
        if seen is None:  # AWS was busy: what was seen last still stands
            seen = dataclasses.replace(last, course=course) if last else Look(course, None, over=False)
        course, last = say(wish, seen, lines), seen
        if seen.over:
            return finished(wish, seen, lines)
        if stepping and lines:
            return result_of(course, seen.refresh, lines, done=False)
        left = wish.wait_timeout - elapsed(course, clock.now())
        if left <= 0:
            raise timed_out(wish, seen, lines)
        if not seen.started:
            clock.sleep(min(wish.poll_seconds, left))


def say(wish: Wish, seen: Look, lines: list[str]) -> Course:
    """Add the line of what was seen, if it is not the last one said; without a wait there is nothing to tell."""
    line = line_of(seen.refresh) if seen.refresh and (wish.wait or not seen.over) else seen.course.said
    if line == seen.course.said:
        return seen.course
    lines.append(line)
    return dataclasses.replace(seen.course, said=line)


def look(client: t.Any, wish: Wish, asked: Document, course: Course, clock: Clock) -> Look | None:
    """See how the refresh is, or start the wanted one once the active one has ended.

    None where a look that is one of many meets a passing fault: the refresh goes on, and so does the wait.
    """
    try:
        if not course.clearing:
            refresh = api.describe_refresh(client, wish.name, course.refresh_id) if course.refresh_id else None
            return Look(course, refresh, over=not (wish.wait and refresh and states.is_active(refresh)))
        active = states.active_of(api.describe_refreshes(client, wish.name, limit=1))
    except FleetError as error:
        if is_passing(error) and (course.clearing or wish.wait):
            return None
        note(error, course)
        raise
    if active is not None:
        return Look(course, active, over=False)
    try:
        return Look(started(client, asked, course, clock), None, over=False, started=True)
    except FleetError as error:
        note(error, course)
        raise


def note(error: FleetError, course: Course) -> None:
    """What was done before an error was done: a change stays one although the task fails."""
    error.details.setdefault("changed", course.changed)


def started(client: t.Any, asked: Document, course: Course, clock: Clock) -> Course:
    """Start the wanted refresh; the time to wait for it begins anew."""
    refresh_id = api.start_refresh(client, asked)
    return dataclasses.replace(
        course, clearing=False, changed=True, refresh_id=refresh_id, since=clock.now().isoformat()
    )


def elapsed(course: Course, now: dt.datetime) -> float:
    """Seconds waited."""
    return (now - dt.datetime.fromisoformat(course.since)).total_seconds()


def finished(wish: Wish, seen: Look, lines: list[str]) -> dict[str, t.Any]:
    """The result once nothing is waited for. Raises FleetError when the refresh ended otherwise than wished."""
    result = result_of(seen.course, seen.refresh, lines, done=True)
    status = (seen.refresh or {}).get("Status")
    # Nothing was under way and nothing was to be done: whatever the last refresh came to is not this run's doing.
    idle = wish.state == "cancelled" and not seen.course.changed
    if not wish.wait or seen.refresh is None or status == GOOD[wish.state] or idle:
        return result
    raise FleetError(
        f"The instance refresh of {wish.name} ended {status}: {seen.refresh.get('StatusReason', 'no reason given')}. "
        f"Expected {GOOD[wish.state]}; the scaling activities of the group say what happened to each instance.",
        changed=seen.course.changed,
        lines=lines,
        **shown(seen.refresh),
    )


def result_of(course: Course, refresh: Document | None, lines: list[str], done: bool) -> dict[str, t.Any]:
    """The module's result."""
    said = {"reason": course.reason, "warnings": course.warnings if done else [], "diff": course.diff}
    context = {} if done else dataclasses.asdict(course)
    return {"changed": course.changed, **said, "lines": lines, "done": done, "context": context, **shown(refresh)}


def timed_out(wish: Wish, seen: Look, lines: list[str]) -> WaitTimeout:
    """The error of a wait that ran out, with the last state seen."""
    last = seen.refresh or {}
    what = "The active refresh has not ended, no new one was started" if seen.course.clearing else "It has not ended"
    return WaitTimeout(
        f"{what} within wait_timeout={wish.wait_timeout} seconds: instance refresh {last.get('InstanceRefreshId')} is "
        f"{line_of(last)}. It goes on by itself; raise wait_timeout, or look again with instance_refresh_info.",
        changed=seen.course.changed,
        elapsed=float(wish.wait_timeout),
        lines=lines,
        **shown(seen.refresh),
    )


def shown(refresh: Document | None) -> dict[str, t.Any]:
    """The refresh as the module returns it."""
    return {"refresh": refresh_result(refresh) if refresh else None}
