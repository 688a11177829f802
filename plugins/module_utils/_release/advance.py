# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The way forward: an open release from its preparation to success. Pure."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.verdict import Verdict
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger, Release
from ansible_collections.diffusion.fleet.plugins.module_utils._release.plan import Plan, Step, step_reached
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import (
    LIVE,
    SCALING,
    Action,
    Goal,
    Kind,
    Observation,
    Refresh,
)

MAX_AGAIN = 3
"""Refreshes that one run starts anew for what the last one has left."""
CAPACITY = dt.timedelta(hours=1)
"""How long instances that AWS does not launch are waited for: as long as an instance refresh waits for them."""
TO_GO_ON = "to go on with all remaining steps at once"
MAX_FAILED_LAUNCHES = 2
"""That many failed launches are a verdict: AWS itself would go on trying for an hour."""


def advance(seen: Observation) -> Action:
    """Next action of an open release."""
    if seen.failed_launches >= MAX_FAILED_LAUNCHES:
        count = f"{seen.failed_launches} instances of the candidate"
        return give_up(f"{count} did not come into service, or were reported unhealthy")
    if seen.ledger.refresh_id is None and not seen.context.prepared:
        return Action(Kind.PREPARE, "preparing the smoke queue and the release alarms")
    if is_cold(seen):
        return _cold(seen)
    if seen.refresh is None or not is_ours(seen.ledger, seen.refresh):
        return _start(seen)
    return _follow(seen, seen.refresh)


def candidate_of(seen: Observation) -> Release:
    """The candidate of the open release."""
    return t.cast(Release, seen.ledger.candidate)


def promoting(seen: Observation) -> bool:
    """Whether this run has still to promote what it found."""
    return seen.options.goal is Goal.PROMOTED and not seen.context.promoted


def is_cold(seen: Observation) -> bool:
    """Whether this is the first release: then the empty group is filled, not refreshed."""
    return seen.ledger.stable is None and seen.ledger.refresh_id is None


def is_ours(ledger: Ledger, refresh: Refresh) -> bool:
    """Whether that refresh is the one of the open release."""
    return ledger.refresh_id is not None and refresh.refresh_id == ledger.refresh_id


def give_up(reason: str) -> Action:
    """Back to the stable release, for that reason."""
    return Action(Kind.RETREAT, f"fail: {reason}", reason=reason)


# ---------------------------------------------------------------- start


def _start(seen: Observation) -> Action:
    refresh = seen.refresh
    if seen.ledger.refresh_id is None and refresh is not None and started_for_us(seen, refresh):
        return Action(Kind.ADOPT_REFRESH, f"taking up instance refresh {refresh.refresh_id}")
    if refresh is not None and refresh.active:
        return Action(Kind.WAIT, f"waiting for instance refresh {refresh.refresh_id} to end ({refresh.status})")
    if seen.ledger.refresh_id is not None:
        return give_up(f"instance refresh {seen.ledger.refresh_id} is gone")
    return (
        _wake(seen)
        or _hold_scaling(seen)
        or _await_alarms(seen)
        or Action(Kind.START_REFRESH, f"starting the instance refresh to {_version(seen)}", skip_matching=True)
    )


def started_for_us(seen: Observation, refresh: Refresh) -> bool:
    """A start whose reply was lost, or whose starter died before it could record the id.

    A cancelled one belongs to a pause that is over: nobody else ends a refresh of ours like that.
    """
    if refresh.status == "Cancelled":
        return False
    if refresh.active:  # a running one needs no look at the clock, which may differ from AWS's
        return refresh.status in LIVE and refresh.template_version == candidate_of(seen).template_version
    since = dt.datetime.fromisoformat(t.cast(str, seen.ledger.started_at))
    begun = refresh.started_at is not None and refresh.started_at >= since
    return begun and refresh.template_version == candidate_of(seen).template_version


def _wake(seen: Observation) -> Action | None:
    """A group that was scaled to zero is woken on the stable release: a candidate never runs there unwatched."""
    if seen.group.desired == 0:
        return Action(Kind.WAKE, f"the group is empty: starting {_size(seen)} instances of the stable release first")
    if seen.group.in_service == 0 and _without_capacity(seen):
        text = (
            f"The group was empty, and none of {seen.group.desired} instances of the stable release came into service "
            f"within {CAPACITY}: {_version(seen)} was not started. The activities of group {seen.group.name} say why; "
            f"run deploy.yml -e version={_version(seen)} again when there is capacity, or give it up with rollback.yml."
        )
        return Action(Kind.REFUSE, text, failure=FleetError(text))
    if seen.group.in_service == 0:
        return Action(Kind.WAIT, f"0 of {seen.group.desired} instances in service yet")
    return None


def _hold_scaling(seen: Observation) -> Action | None:
    """The first step keeps its share: neither alarm may add instances of the candidate or take any away."""
    ours = seen.ledger.held or (seen.options.hold_scale_out and seen.ledger.step == 0)
    if not ours or SCALING in seen.group.suspended:
        return None
    return Action(Kind.HOLD_SCALING, "suspending scaling by alarms until the first step has passed")


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
        return give_up(f"release alarms are not OK: {', '.join(waiting)}")
    return Action(Kind.WAIT, f"waiting for the release alarms: {', '.join(waiting)}")


# ---------------------------------------------------------------- an empty group


def _cold(seen: Observation) -> Action:
    group, template = seen.group, candidate_of(seen).template_version
    if group.template_version != template or group.desired == 0:
        return Action(Kind.COLD_START, f"filling the empty group with {_version(seen)}")
    serving = group.serving(template)
    if serving < group.desired:
        line = f"{serving} of {group.desired} instances in service with {_version(seen)}"
        never = seen.ledger.step == 0 and seen.ledger.step_reached_at is None and _without_capacity(seen)
        return give_up(f"{line} after {CAPACITY}; the group's activities say why") if never else Action(Kind.WAIT, line)
    return _last_step(seen) or _complete(seen)


def _without_capacity(seen: Observation) -> bool:
    """Whether this run has waited for long enough; whoever takes over waits anew."""
    since = seen.context.held_since
    return since is not None and seen.now - dt.datetime.fromisoformat(since) > CAPACITY


# ---------------------------------------------------------------- a refresh under way


def _follow(seen: Observation, refresh: Refresh) -> Action:
    if refresh.status in LIVE:
        return _judge_step(seen, refresh)
    if refresh.status == "Successful":
        return _last_step(seen) or _complete(seen)
    if refresh.unknown:
        return _progress(seen, refresh)
    return give_up(f"AWS ended the instance refresh as {refresh.status}: {refresh.reason or 'no reason given'}")


def _judge_step(seen: Observation, refresh: Refresh) -> Action:
    plan = t.cast(Plan, seen.plan)
    if seen.ledger.step_reached_at is not None:  # whatever a scale-in has taken since, the jobs are there
        return _at_step(seen, current_step(seen))
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


def current_step(seen: Observation) -> int:
    """Number of the step that waits for its verdict, or of the next one."""
    number = max(reached_steps(seen), seen.ledger.step + 1)
    return min(number, len(t.cast(Plan, seen.plan).judged))


def current_stop(seen: Observation) -> Step:
    """What was asked of that step."""
    return t.cast(Plan, seen.plan).stop(seen.ledger.step, current_step(seen))


def _progress(seen: Observation, refresh: Refresh) -> Action:
    serving = seen.group.serving(candidate_of(seen).template_version)
    text = f"{serving} of {seen.group.in_service} instances in service run {_version(seen)}"
    return Action(Kind.WAIT, f"{text}; instance refresh {refresh.status} {refresh.percentage} %")


def _last_step(seen: Observation) -> Action | None:
    steps = len(t.cast(Plan, seen.plan).judged)
    return _at_step(seen, steps) if seen.ledger.step < steps else None


def _at_step(seen: Observation, reached: int) -> Action:
    """``reached`` steps have been reached, and the last of them has no verdict yet."""
    step = t.cast(Plan, seen.plan).stop(seen.ledger.step, reached)
    label = step_label(seen, step, reached)
    if seen.ledger.step_reached_at is None:
        return Action(Kind.REACH_STEP, f"{label}: reached, judging", step=reached)
    verdict = seen.verdict
    if verdict is None:
        return Action(Kind.WAIT, f"{label}: collecting jobs")
    if verdict.outcome == "fail":
        return Action(Kind.RETREAT, f"{label}: fail: {verdict.sentence}", reason=verdict.sentence, step=reached)
    if promoting(seen):
        return _promoted(seen, label, verdict.sentence, reached)
    if verdict.outcome == "pass" and window_over(seen):
        return pass_step(seen, step, reached, f"{label}: pass: {verdict.sentence}")
    if verdict.outcome == "pass":
        return Action(Kind.WAIT, f"{label}: collecting jobs: {verdict.sentence}")
    return _without_verdict(seen, step, label, reached)


def step_label(seen: Observation, step: Step, reached: int) -> str:
    """How a step is called in the lines."""
    return f"step {reached}/{len(t.cast(Plan, seen.plan).judged)} ({step.percentage} %, {_share(seen, step)})"


def pass_step(seen: Observation, step: Step, reached: int, line: str) -> Action:
    """The step has passed, and the release pauses where that was planned."""
    if not step.pause:
        return Action(Kind.PASS_STEP, line, step=reached)
    why = f"after step {reached}/{len(t.cast(Plan, seen.plan).judged)} as planned"
    return Action(Kind.PASS_STEP, f"{line}; pausing as planned", step=reached, pause=why)


def _promoted(seen: Observation, label: str, sentence: str, reached: int) -> Action:
    """By hand, whatever the time; for all the rest at once the refresh has to be started anew without stops."""
    line = f"{label}: promoted by hand by {seen.options.by}: {sentence}"
    anew = seen.options.full and reached < len(t.cast(Plan, seen.plan).judged)
    return Action(Kind.PASS_STEP, line, step=reached, by_hand=True, pause=TO_GO_ON if anew else "")


def _share(seen: Observation, step: Step) -> str:
    serving = seen.group.serving(candidate_of(seen).template_version)
    return f"{serving} of {seen.group.in_service} instances, planned {step.instances}"


def _without_verdict(seen: Observation, step: Step, label: str, reached: int) -> Action:
    sentence = t.cast(Verdict, seen.verdict).sentence
    if step_age(seen) <= patience(seen, step):
        return Action(Kind.WAIT, f"{label}: no verdict yet: {sentence}")
    reason = f"no verdict within {patience(seen, step).total_seconds():.0f} s: {sentence}"
    match step.on_inconclusive or seen.options.on_inconclusive:
        case "pass":
            return pass_step(seen, step, reached, f"{label}: passed without a verdict as asked: {sentence}")
        case "pause":
            why = f"step {reached}/{len(t.cast(Plan, seen.plan).judged)} has {reason}"
            return Action(Kind.PAUSE, f"{label}: pausing: {reason}", step=reached, pause=why)
    return Action(Kind.RETREAT, f"{label}: fail: {reason}", reason=reason, step=reached)


def window_over(seen: Observation) -> bool:
    """Whether jobs have been collected for as long as asked."""
    return step_age(seen) >= dt.timedelta(seconds=_window(seen, current_stop(seen)))


def _window(seen: Observation, step: Step) -> int:
    return seen.options.timing.window if step.bake is None else step.bake


def patience(seen: Observation, step: Step) -> dt.timedelta:
    """How long a step may stay without a verdict."""
    return dt.timedelta(seconds=_window(seen, step) + seen.options.timing.inconclusive_limit)


def is_ending(seen: Observation) -> bool:
    """Whether the step that is judged ends at this look: its time is over, or somebody promotes it."""
    over = seen.ledger.paused is None and step_age(seen) > patience(seen, current_stop(seen))
    return over or promoting(seen)


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
    if seen.context.refreshed_again >= MAX_AGAIN:
        return give_up(f"{strangers} instances run something else after {MAX_AGAIN + 1} instance refreshes")
    return Action(Kind.START_REFRESH, f"{strangers} instances run something else: refreshing again")


def overdue(seen: Observation) -> bool:
    """Whether a step has gone without a verdict for too long: then the gate must not be fed."""
    if seen.ledger.step_reached_at is None:
        return False
    poll = dt.timedelta(seconds=seen.options.timing.poll)
    return step_age(seen) > patience(seen, current_stop(seen)) + poll
