# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The way forward: an open release from its preparation to success. Pure."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger, Release
from ansible_collections.diffusion.fleet.plugins.module_utils._release.plan import Plan, Step, step_reached
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import (
    LIVE,
    Action,
    Kind,
    Observation,
    Refresh,
)

MAX_FAILED_LAUNCHES = 2
"""That many failed launches are a verdict: AWS itself would go on trying for an hour."""


def advance(seen: Observation) -> Action:
    """Next action of an open release."""
    if seen.failed_launches >= MAX_FAILED_LAUNCHES:
        return _give_up(f"{seen.failed_launches} instances of the candidate did not come into service")
    if seen.ledger.refresh_id is None and not seen.context.prepared:
        return Action(Kind.PREPARE, "preparing the smoke queue and the release alarms")
    if is_cold(seen):
        return _cold(seen)
    if seen.refresh is None or not _is_ours(seen.ledger, seen.refresh):
        return _start(seen)
    return _follow(seen, seen.refresh)


def candidate_of(seen: Observation) -> Release:
    """The candidate of the open release."""
    return t.cast(Release, seen.ledger.candidate)


def is_cold(seen: Observation) -> bool:
    """Whether this is the first release: then the empty group is filled, not refreshed."""
    return seen.ledger.stable is None and seen.ledger.refresh_id is None


def _is_ours(ledger: Ledger, refresh: Refresh) -> bool:
    return ledger.refresh_id is not None and refresh.refresh_id == ledger.refresh_id


def _give_up(reason: str) -> Action:
    return Action(Kind.RETREAT, f"fail: {reason}", reason=reason)


# ---------------------------------------------------------------- start


def _start(seen: Observation) -> Action:
    refresh = seen.refresh
    if seen.ledger.refresh_id is None and refresh is not None and _started_for_us(seen, refresh):
        return Action(Kind.ADOPT_REFRESH, f"taking up instance refresh {refresh.refresh_id}")
    if refresh is not None and refresh.active:
        return Action(Kind.WAIT, f"waiting for instance refresh {refresh.refresh_id} to end ({refresh.status})")
    if seen.ledger.refresh_id is not None:
        return _give_up(f"instance refresh {seen.ledger.refresh_id} is gone")
    return (
        _wake(seen)
        or _await_alarms(seen)
        or Action(Kind.START_REFRESH, f"starting the instance refresh to {_version(seen)}", skip_matching=True)
    )


def _started_for_us(seen: Observation, refresh: Refresh) -> bool:
    """A start whose reply was lost, or whose starter died before it could record the id."""
    if refresh.active:  # a running one needs no look at the clock, which may differ from AWS's
        return refresh.status in LIVE and refresh.template_version == candidate_of(seen).template_version
    since = dt.datetime.fromisoformat(t.cast(str, seen.ledger.started_at))
    return refresh.template_version == candidate_of(seen).template_version and refresh.started_at >= since


def _wake(seen: Observation) -> Action | None:
    """A group that was scaled to zero is woken on the stable release: a candidate never runs there unwatched."""
    if seen.group.desired == 0:
        return Action(Kind.WAKE, f"the group is empty: starting {_size(seen)} instances of the stable release first")
    if seen.group.in_service == 0:
        return Action(Kind.WAIT, f"0 of {seen.group.desired} instances in service yet")
    return None


def _size(seen: Observation) -> int:
    return t.cast(Plan, seen.plan).size


def _version(seen: Observation) -> str:
    return candidate_of(seen).version


def _await_alarms(seen: Observation) -> Action | None:
    """AWS refuses to start while a named alarm is not OK."""
    waiting = sorted(f"{name} {state}" for name, state in seen.alarm_states.items() if state != "OK")
    if not waiting:
        return None
    since = seen.context.alarms_since
    limit = dt.timedelta(seconds=seen.options.timing.alarms_ok)
    if since is not None and seen.now - dt.datetime.fromisoformat(since) > limit:
        return _give_up(f"release alarms are not OK: {', '.join(waiting)}")
    return Action(Kind.WAIT, f"waiting for the release alarms: {', '.join(waiting)}")


# ---------------------------------------------------------------- an empty group


def _cold(seen: Observation) -> Action:
    group, template = seen.group, candidate_of(seen).template_version
    if group.template_version != template or group.desired == 0:
        return Action(Kind.COLD_START, f"filling the empty group with {_version(seen)}")
    serving = group.serving(template)
    if serving < group.desired:
        return Action(Kind.WAIT, f"{serving} of {group.desired} instances in service with {_version(seen)}")
    return _last_step(seen) or _complete(seen)


# ---------------------------------------------------------------- a refresh under way


def _follow(seen: Observation, refresh: Refresh) -> Action:
    if refresh.status in LIVE:
        return _judge_step(seen, refresh)
    if refresh.status == "Successful":
        return _last_step(seen) or _complete(seen)
    return _give_up(f"AWS ended the instance refresh as {refresh.status}: {refresh.reason or 'no reason given'}")


def _judge_step(seen: Observation, refresh: Refresh) -> Action:
    plan = t.cast(Plan, seen.plan)
    reached = reached_steps(seen)
    if reached > seen.ledger.step:
        return _at_step(seen, reached)
    overdue = refresh.status == "Baking" and seen.ledger.step < len(plan.judged)
    return _progress(seen, refresh) if not overdue else _at_step(seen, len(plan.judged))


def reached_steps(seen: Observation) -> int:
    """How many judged steps the group has reached, by its share of the instances there are now."""
    plan, template = t.cast(Plan, seen.plan), candidate_of(seen).template_version
    reached = step_reached(plan, seen.group.serving(template), seen.group.desired)
    return min(reached, len(plan.judged) - 1) if seen.group.strangers(template) else reached


def _progress(seen: Observation, refresh: Refresh) -> Action:
    serving = seen.group.serving(candidate_of(seen).template_version)
    text = f"{serving} of {seen.group.in_service} instances in service run {_version(seen)}"
    return Action(Kind.WAIT, f"{text}; instance refresh {refresh.status} {refresh.percentage} %")


def _last_step(seen: Observation) -> Action | None:
    steps = len(t.cast(Plan, seen.plan).judged)
    return _at_step(seen, steps) if seen.ledger.step < steps else None


def _at_step(seen: Observation, reached: int) -> Action:
    """``reached`` steps have been reached, and the last of them has no verdict yet."""
    step = t.cast(Plan, seen.plan).judged[reached - 1]
    label = f"step {reached}/{len(t.cast(Plan, seen.plan).judged)} ({step.percentage} %, {_share(seen, step)})"
    if seen.ledger.step_reached_at is None:
        return Action(Kind.REACH_STEP, f"{label}: reached, judging", step=reached)
    verdict = seen.verdict
    if verdict is None:
        return Action(Kind.WAIT, f"{label}: collecting jobs")
    if verdict.outcome == "fail":
        return Action(Kind.RETREAT, f"{label}: fail: {verdict.sentence}", reason=verdict.sentence, step=reached)
    if verdict.outcome == "pass" and window_over(seen):
        return Action(Kind.PASS_STEP, f"{label}: pass: {verdict.sentence}", step=reached)
    if verdict.outcome == "pass":
        return Action(Kind.WAIT, f"{label}: collecting jobs: {verdict.sentence}")
    return _without_verdict(seen, label, verdict.sentence, reached)


def _share(seen: Observation, step: Step) -> str:
    serving = seen.group.serving(candidate_of(seen).template_version)
    return f"{serving} of {seen.group.in_service} instances, planned {step.instances}"


def _without_verdict(seen: Observation, label: str, sentence: str, reached: int) -> Action:
    timing = seen.options.timing
    if step_age(seen) <= dt.timedelta(seconds=timing.window + timing.inconclusive_limit):
        return Action(Kind.WAIT, f"{label}: no verdict yet: {sentence}")
    if seen.options.on_inconclusive == "pass":
        return Action(Kind.PASS_STEP, f"{label}: passed without a verdict as asked: {sentence}", step=reached)
    reason = f"no verdict within {timing.window + timing.inconclusive_limit} s: {sentence}"
    return Action(Kind.RETREAT, f"{label}: fail: {reason}", reason=reason, step=reached)


def window_over(seen: Observation) -> bool:
    """Whether jobs have been collected for as long as asked."""
    return step_age(seen) >= dt.timedelta(seconds=seen.options.timing.window)


def step_age(seen: Observation) -> dt.timedelta:
    """Time since the current step was reached."""
    return seen.now - dt.datetime.fromisoformat(t.cast(str, seen.ledger.step_reached_at))


def _complete(seen: Observation) -> Action:
    """Everything has passed: is it really everywhere?"""
    template = candidate_of(seen).template_version
    strangers = seen.group.strangers(template)
    if not strangers and seen.group.template_version == template:
        return Action(Kind.SUCCEED, f"{_version(seen)} is stable", reason=f"{_version(seen)} is stable")
    if seen.refresh is not None and seen.refresh.active:
        return Action(Kind.WAIT, f"instance refresh {seen.refresh.status} {seen.refresh.percentage} %")
    return Action(Kind.START_REFRESH, f"{strangers} instances run something else: refreshing again")


def overdue(seen: Observation) -> bool:
    """Whether a step has gone without a verdict for too long: then the gate must not be fed."""
    if seen.ledger.step_reached_at is None:
        return False
    timing = seen.options.timing
    return step_age(seen) > dt.timedelta(seconds=timing.window + timing.inconclusive_limit + timing.poll)
