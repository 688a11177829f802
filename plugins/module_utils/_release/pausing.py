# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""A release that is paused: how it comes to rest, who may take it up, and what everybody else is told. Pure.

Paused means that its instance refresh is cancelled: AWS holds such a group without limit, and launches stable.
A pause that was planned ends with a promotion only. One for want of a verdict ends by itself once the jobs that
have finished since decide the step, when a deploy looks again.
"""

from __future__ import annotations

import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import Conflict
from ansible_collections.diffusion.fleet.plugins.module_utils._release.advance import (
    TO_GO_ON,
    candidate_of,
    current_step,
    current_stop,
    give_up,
    is_ours,
    pass_step,
    promoting,
    step_label,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.plan import Plan, in_full, onward
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import (
    LIVE,
    Action,
    Goal,
    Kind,
    Observation,
    Refresh,
)

QUIETLY_ENDED = frozenset({"Cancelled", "Successful"})
"""How the refresh of a paused release may end: as cancelled, or a moment before the cancel arrived."""


def paused(seen: Observation) -> Action:
    """Next action of a run that holds the lock of a paused release."""
    return _settle(seen) or _at_rest(seen)


def stays_paused(seen: Observation) -> bool:
    """Whether a run that has done nothing yet would leave the paused release as it is."""
    idle = not promoting(seen) and seen.options.goal is not Goal.ROLLED_BACK
    return idle and _settle(seen) is None and (_unjudged(seen) is None or _outcome(seen) == "inconclusive")


def hurrying(seen: Observation) -> Action | None:
    """A promotion of everything that is left, while no step waits for a verdict: the refresh gives way to another."""
    more = len(t.cast(Plan, seen.plan).judged) - seen.ledger.step > 1
    if not (promoting(seen) and seen.options.full and more and seen.ledger.step_reached_at is None):
        return None
    refresh = seen.refresh
    if refresh is not None and refresh.status in LIVE and is_ours(seen.ledger, refresh):
        return Action(Kind.PAUSE, f"pausing {TO_GO_ON}", step=seen.ledger.step, pause=TO_GO_ON)
    if seen.ledger.refresh_id is None and not (refresh is not None and refresh.active):
        return Action(Kind.RESUME, _resume_line(seen), step=seen.ledger.step)
    return None


def rest_line(seen: Observation) -> str:
    """What is paused, why, and how to go on."""
    serving = seen.group.serving(candidate_of(seen).template_version)
    how = "go on with promote.yml, or return to stable with rollback.yml"
    if _unjudged(seen) is not None:
        how = f"deploy.yml looks at the jobs again; {how}"
    version, why = candidate_of(seen).version, seen.ledger.paused
    return f"{version} is paused: {why}; {serving} of {seen.group.in_service} instances run it: {how}"


def whats_left(seen: Observation) -> Plan:
    """The plan that a promotion follows: the steps after those that have passed, or all of them in one."""
    plan, options = t.cast(Plan, seen.plan), seen.options
    passed = current_step(seen) if seen.ledger.step_reached_at is not None else seen.ledger.step
    plan = in_full(plan, passed) if options.full else plan
    seconds = options.timing.replacement
    return onward(plan, passed, seen.group.desired, replacement_seconds=seconds, surge=options.surge)


# ---------------------------------------------------------------- inside


def _settle(seen: Observation) -> Action | None:
    """The refresh has to be out of the way first."""
    refresh = seen.refresh
    if refresh is None:
        return None
    name = f"instance refresh {refresh.refresh_id}"
    if not is_ours(seen.ledger, refresh):
        return _foreign(refresh) if refresh.active else None
    if refresh.status in LIVE:
        return Action(Kind.CANCEL_REFRESH, f"pausing: cancelling {name}")
    if refresh.status == "Cancelling" or refresh.unknown:
        return Action(Kind.WAIT, f"pausing: {name} {refresh.status}")
    if refresh.status not in QUIETLY_ENDED:
        return give_up(f"AWS ended the instance refresh as {refresh.status}: {refresh.reason or 'no reason given'}")
    return None


def _foreign(refresh: Refresh) -> Action:
    text = (
        f"Instance refresh {refresh.refresh_id} ({refresh.status}) was started by somebody else while the release was "
        "paused; nothing was changed. Wait for it, or cancel it with the instance_refresh module."
    )
    return Action(Kind.REFUSE, text, failure=Conflict(text))


def _unjudged(seen: Observation) -> int | None:
    return current_step(seen) if seen.ledger.step_reached_at is not None else None


def _outcome(seen: Observation) -> str:
    return seen.verdict.outcome if seen.verdict else "inconclusive"


def _at_rest(seen: Observation) -> Action:
    step = _unjudged(seen)
    if step is not None and seen.verdict is not None and seen.verdict.outcome == "fail":
        sentence = seen.verdict.sentence
        line = f"{step_label(seen, current_stop(seen), step)}: fail: {sentence}"
        return Action(Kind.RETREAT, line, reason=sentence, step=step)
    if promoting(seen):
        by_hand = step is not None and _outcome(seen) != "pass"
        return Action(Kind.RESUME, _resume_line(seen), step=step or seen.ledger.step, by_hand=by_hand)
    if step is not None and _outcome(seen) == "pass" and seen.verdict is not None:
        stop = current_stop(seen)
        return pass_step(seen, stop, step, f"{step_label(seen, stop, step)}: pass: {seen.verdict.sentence}")
    return Action(Kind.REST, rest_line(seen), reason=rest_line(seen), step=step or seen.ledger.step)


def _resume_line(seen: Observation) -> str:
    left = "all remaining steps at once" if seen.options.full else "the next step"
    return f"{candidate_of(seen).version} promoted by hand by {seen.options.by}: going on with {left}"
