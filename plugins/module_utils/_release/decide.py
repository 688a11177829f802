# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What to do next: one action from one observation. Pure.

Deploy, rollback, adoption and repair all come through here.
"""

from __future__ import annotations

import datetime as dt

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import Conflict, FleetError, LockHeld, LockLost
from ansible_collections.diffusion.fleet.plugins.module_utils._release.advance import advance, overdue
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger, Release, Status
from ansible_collections.diffusion.fleet.plugins.module_utils._release.pausing import (
    hurrying,
    paused,
    rest_line,
    stays_paused,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.retreat import retreat
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import (
    LIVE,
    Action,
    Goal,
    Kind,
    Lock,
    Observation,
)


def decide(seen: Observation) -> Action:
    """The action for what was seen."""
    if seen.context.outcome is not None:
        return _finished(seen)
    if not seen.mine:
        return _without_lock(seen)
    if seen.ledger.epoch < seen.held_epoch:
        return Action(Kind.CLAIM, seen.adoption.line if seen.adoption else "holding the lock")
    return _with_lock(seen)


def foresee(seen: Observation) -> Action:
    """What a run would do first, lock aside: for check mode, which takes none."""
    action = decide(seen)
    return _with_lock(seen) if action.kind in (Kind.TAKE_LOCK, Kind.WATCH) else action


def _with_lock(seen: Observation) -> Action:
    if seen.projections != seen.ledger.projections():
        return Action(Kind.REPAIR, _repair_line(seen))
    if seen.ledger.held and not _holding(seen.ledger):
        return Action(Kind.FREE_SCALING, "resuming scaling by alarms")
    if seen.remake is not None:
        return Action(Kind.REMAKE_TEMPLATE, _remake_line(seen.remake.release))
    if seen.ledger.status is Status.ROLLING_BACK:
        return _going_back(seen)
    if seen.ledger.status is Status.IN_PROGRESS:
        return _open(seen)
    return _closed(seen)


def _remake_line(stable: Release) -> str:
    return (
        f"template version {stable.template_version} of {stable.version} was deleted: making it again, "
        f"as release {stable.release_id}"
    )


def _finished(seen: Observation) -> Action:
    context = seen.context
    if seen.ledger.ending is not None and context.outcome == "rolled_back" and seen.mine:
        return Action(Kind.REPORT, context.reason or "done")
    if context.outcome in ("succeeded", "paused") or seen.options.goal is Goal.ROLLED_BACK:
        return Action(Kind.DONE, context.reason or "done")
    return Action(Kind.REFUSE, context.reason or "rolled back", failure=FleetError(context.reason or "rolled back"))


# ---------------------------------------------------------------- without the lock


def _without_lock(seen: Observation) -> Action:
    return wait_turn(seen) or _enter(seen)


def wait_turn(seen: Observation) -> Action | None:
    """What whoever has not got the lock does first; None where nobody else has it."""
    if seen.context.epoch is not None:
        holder = f" by {seen.lock.by}" if seen.lock else ""
        text = (
            f"The lock of {seen.options.deployment_id} was taken over{holder}; this run stops and changes nothing more."
        )
        return Action(Kind.REFUSE, text, failure=LockLost(text))
    if seen.lock is not None and not _expired(seen, seen.lock):
        return _watch(seen, seen.lock)
    return None


def _expired(seen: Observation, lock: Lock) -> bool:
    """Old by its date, and unchanged for as long as this run has watched it."""
    timing, context = seen.options.timing, seen.context
    if context.watched_epoch != lock.epoch or context.watched_since is None:
        return False
    if context.watched_modified != lock.modified.isoformat():
        return False
    watched = seen.now - dt.datetime.fromisoformat(context.watched_since)
    expiry = dt.timedelta(seconds=timing.lock_expiry)
    # Where this machine's clock is behind AWS's, the date never looks old: then the watching alone must do.
    old = seen.now - lock.modified > expiry
    return watched > expiry or (old and watched >= dt.timedelta(seconds=timing.lock_watch))


def _watch(seen: Observation, lock: Lock) -> Action:
    """A holder that renews is alive: fail now and name it. One that does not is waited out."""
    context = seen.context
    if context.watched_epoch == lock.epoch and context.watched_modified != lock.modified.isoformat():
        text = (
            f"{lock.by} is releasing {seen.options.deployment_id} right now and holds its lock "
            f"(/lock/{lock.epoch}); nothing was changed. Wait for that run, or watch it with status.yml."
        )
        return Action(Kind.REFUSE, text, failure=LockHeld(text, holder=lock.owner, host=lock.host, epoch=lock.epoch))
    return Action(Kind.WATCH, f"lock held by {lock.by}: watching whether it is still renewed")


def _enter(seen: Observation) -> Action:
    """Nobody else is here: is there anything to do at all?"""
    # With nothing to do as well, the lock that a dead run left is taken, so that it goes, and a lost ledger is written.
    settled = seen.lock is None and seen.adoption is None and seen.projections == seen.ledger.projections()
    still = not seen.ledger.is_open or seen.ledger.paused is not None
    if settled and still and not seen.ledger.held:
        idle = _nothing_to_do(seen)
        if idle is not None:
            return idle
    # What a dead run left of a closed release is put right first, even by a run that is then refused.
    left_over = not settled and not seen.ledger.is_open and seen.adoption is None
    refused = _refusal(seen) if not (left_over or _unreported(seen)) else None
    return refused or Action(Kind.TAKE_LOCK, "taking the lock")


def _nothing_to_do(seen: Observation) -> Action | None:
    ledger, target = seen.ledger, seen.target
    if ledger.is_open:
        idle = ledger.paused is not None and _conflict(seen) is None and stays_paused(seen)
        return Action(Kind.DONE, rest_line(seen)) if idle else None
    if seen.options.goal is Goal.PROMOTED:
        return Action(Kind.DONE, f"no release is open, {_stable(seen)} is stable: there is nothing to promote")
    if seen.options.goal is Goal.ROLLED_BACK:
        if _unreported(seen):
            return None
        if ledger.stable is None or (target is None and seen.refusal is None):
            return Action(Kind.DONE, _nothing_before(seen))
        return None
    if target and ledger.stable and target.release.release_id == ledger.stable.release_id and not _drifted(seen):
        return Action(Kind.DONE, f"{ledger.stable.version} is stable already; nothing to do")
    return None


def _unreported(seen: Observation) -> bool:
    """Whether what is asked for was done, by a run that died before it said so."""
    asked_again = seen.options.goal is Goal.ROLLED_BACK and seen.options.to_version is None
    return asked_again and not seen.ledger.is_open and seen.ledger.ending is not None


def _drifted(seen: Observation) -> bool:
    """Whether the group does not run what the ledger calls stable."""
    template = seen.ledger.stable_template
    return seen.group.template_version != template or seen.group.strangers(template) > 0


def _nothing_before(seen: Observation) -> str:
    stable = seen.ledger.stable
    if stable is None:
        return "nothing was ever released here, so there is nothing to roll back"
    return (
        f"{stable.version} is stable, no release is open and the previous version is none: "
        "there is nothing to roll back to; nothing was changed"
    )


def _refusal(seen: Observation) -> Action | None:
    failure = seen.refusal or _conflict(seen)
    return Action(Kind.REFUSE, failure.message, failure=failure) if failure else None


def may_feed(seen: Observation, action: Action) -> bool:
    """Whether the gate may be fed: by the run that judges, or by one that waits to take its place."""
    forward = seen.options.goal.forward and seen.ledger.status is Status.IN_PROGRESS
    if not forward or overdue(seen) or _conflict(seen) is not None:
        return False
    if seen.ledger.paused is not None and (seen.refresh is None or seen.refresh.status not in LIVE):
        return False
    return action.kind is Kind.WATCH or (seen.mine and action.kind is not Kind.REFUSE)


def _conflict(seen: Observation) -> FleetError | None:
    """What must not be started over."""
    candidate, wanted = seen.ledger.candidate, seen.options.version
    forward = seen.ledger.status is Status.IN_PROGRESS and seen.options.goal.forward
    if forward and candidate and wanted and candidate.version != wanted:
        state = f"is paused ({seen.ledger.paused})" if seen.ledger.paused else "is open"
        how = "promote.yml" if seen.ledger.paused else f"-e version={candidate.version}"
        return Conflict(
            f"The release of {candidate.version} {state}; nothing was changed. Finish it with {how}, "
            "or give it up with rollback.yml."
        )
    if not seen.ledger.is_open and seen.refresh is not None and seen.refresh.active:
        return Conflict(
            f"Instance refresh {seen.refresh.refresh_id} ({seen.refresh.status}) was started by somebody else; "
            "nothing was changed. Wait for it, or cancel it with the instance_refresh module."
        )
    return None


# ---------------------------------------------------------------- with the lock


def _repair_line(seen: Observation) -> str:
    wanted = seen.ledger.projections()
    wrong = [
        f"{name} was {seen.projections.get(name, 'missing')}, the ledger says {value}"
        for name, value in wanted.items()
        if seen.projections.get(name) != value
    ]
    return "repairing parameters: " + "; ".join(wrong)


def _holding(ledger: Ledger) -> bool:
    """Whether scaling by alarms is to stay suspended: until the first step has passed, or anything else happens."""
    return ledger.status is Status.IN_PROGRESS and ledger.step == 0 and ledger.paused is None


def _open(seen: Observation) -> Action:
    refused = _refusal(seen)
    if refused is not None:
        return refused
    if seen.options.goal is Goal.ROLLED_BACK:
        return _give_up(seen)
    if seen.ledger.paused is not None:
        return paused(seen)
    return hurrying(seen) or advance(seen)


def _give_up(seen: Observation) -> Action:
    target = seen.target.release.version if seen.target else None
    reason = seen.options.reason or "rolled back by hand" + (f" to {target}" if target else "")
    line = f"giving the open release up for {target}" if target else "giving the open release up"
    return Action(Kind.RETREAT, line, reason=reason)


def _going_back(seen: Observation) -> Action:
    """A rollback by hand may still name another release to return to."""
    if seen.options.goal is Goal.ROLLED_BACK:
        refused = _refusal(seen)
        if refused is not None or seen.target is not None:
            return refused or _give_up(seen)
    return retreat(seen)


def _closed(seen: Observation) -> Action:
    if _unreported(seen):
        said = "that was complete when its run died; nothing more was done"
        return Action(Kind.REPORT, f"{seen.ledger.ending}; {said}; repeat it to go further back")
    idle = _nothing_to_do(seen)
    if idle is not None:
        return idle
    refused = _refusal(seen)
    if refused is not None:
        return refused
    version = seen.target.release.version if seen.target else "none"
    if seen.options.goal is Goal.ROLLED_BACK:
        reason = seen.options.reason or f"rolled back by hand to {version}"
        return Action(Kind.LEAVE, f"leaving {_stable(seen)} for {version}", reason=reason)
    return Action(Kind.BEGIN, f"releasing {version} over {_stable(seen)}")


def _stable(seen: Observation) -> str:
    return seen.ledger.stable.version if seen.ledger.stable else "nothing"
