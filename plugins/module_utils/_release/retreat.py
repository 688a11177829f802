# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The way back: from anywhere to everything running the stable release. Pure.

Native rollback is used while it is possible; whatever it leaves is counted and repaired, because what it covers
is not documented for every case. The count decides, never the status.
"""

from __future__ import annotations

import dataclasses

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._release.groups import own_templates
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Release
from ansible_collections.diffusion.fleet.plugins.module_utils._release.replay import count_text, outcome_text
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import (
    LIVE,
    Action,
    Context,
    Group,
    Kind,
    Observation,
    Refresh,
)

MAX_BACK_STARTS = 3
"""Refreshes back to stable that one run starts before it ends the instances that they leave itself."""
TO_LAUNCH = "; waiting for Auto Scaling to launch the others: the group's activities say why if it does not"
FLOOR = 90
"""Percent of the desired capacity that stays in service while instances are ended."""


def retreat(seen: Observation) -> Action:
    """Next action of a rollback."""
    if seen.refresh is not None and seen.refresh.active:
        return _turn_round(seen, seen.refresh)
    return _count(seen, seen.ledger.stable) if seen.ledger.stable else _empty(seen)


def _turn_round(seen: Observation, refresh: Refresh) -> Action:
    name = f"instance refresh {refresh.refresh_id}"
    wanted = seen.ledger.stable_template
    if refresh.status not in LIVE or (wanted is not None and refresh.template_version == wanted):
        return Action(Kind.WAIT, f"going back: {name} {refresh.status} {refresh.percentage} %, {_count_text(seen)}")
    elsewhere = seen.group.template_version != wanted  # native rollback returns to what the group has saved
    if seen.context.native_refused or wanted is None or elsewhere:
        return Action(Kind.CANCEL_REFRESH, f"going back: cancelling {name}")
    return Action(Kind.ROLL_BACK_REFRESH, f"going back: rolling back {name} ({refresh.status})")


def _count_text(seen: Observation) -> str:
    stable, serving = seen.ledger.stable, seen.group.serving(seen.ledger.stable_template)
    return f"{serving} of {seen.group.in_service} instances in service run {stable.version if stable else 'nothing'}"


def _empty(seen: Observation) -> Action:
    """A first release that failed leaves an empty group."""
    candidate = seen.ledger.candidate
    pinned = candidate is not None and candidate.template_version == seen.group.template_version
    if seen.group.desired or pinned:
        return Action(Kind.RESET_GROUP, "going back: emptying the group")
    if seen.group.members:
        return Action(Kind.WAIT, f"going back: {len(seen.group.members)} instances still to end")
    return _return(seen, "the group is empty again")


def _count(seen: Observation, stable: Release) -> Action:
    template = stable.template_version
    strangers = seen.group.strangers(template)
    if seen.group.template_version == template and not strangers:
        return _settled(seen, stable)
    if seen.group.desired == 0 and not seen.group.members:
        return Action(Kind.RESET_GROUP, "going back: setting the template of the empty group")
    unfit = own_templates(seen.group)
    if unfit is not None:  # neither a refresh nor the group itself would bring the stable release back
        return Action(Kind.REFUSE, unfit.message, failure=unfit)
    if seen.context.back_starts >= MAX_BACK_STARTS:
        return _replace(seen, stable)
    text = f"going back: {strangers} instances to replace with {stable.version}"
    return Action(Kind.START_BACK, text, skip_matching=seen.context.back_starts == 0)


def _replace(seen: Observation, stable: Release) -> Action:
    """Refreshes have not brought it about: the group replaces what is terminated, a few at a time."""
    group, template, version = seen.group, stable.template_version, stable.version
    if group.template_version != template:
        return Action(Kind.SET_TEMPLATE, f"going back: setting the group's template to that of {version}")
    doomed = [row.instance_id for row in group.members if row.in_service and row.template_version != template]
    if group.in_service < group.desired or not doomed:
        return Action(Kind.WAIT, f"going back: {group.in_service} of {group.desired} instances in service{TO_LAUNCH}")
    left = _may_end(seen) - seen.context.ended
    if left <= 0:
        return _in_vain(seen, doomed, version)
    floor = -(-FLOOR * group.desired // 100)
    batch = doomed[: min(max(1, group.in_service - floor), left)]
    text = f"going back: ending {len(batch)} of {len(doomed)} instances that refreshes left"
    return Action(Kind.TERMINATE, text + _below(group, len(batch), floor), instances=tuple(batch))


def _may_end(seen: Observation) -> int:
    """Every instance once, and some that were being launched meanwhile: what comes instead runs stable, or never."""
    return _to_end(seen) + max(1, seen.group.desired // 10)


def _to_end(seen: Observation) -> int:
    """How many there were when this run ended its first."""
    first = seen.context.to_end
    return seen.group.strangers(seen.ledger.stable_template) if first is None else first


def after_ending(seen: Observation, count: int) -> Context:
    """What the run remembers once it has ended so many instances."""
    return dataclasses.replace(seen.context, to_end=_to_end(seen), ended=seen.context.ended + count)


def _in_vain(seen: Observation, doomed: list[str], version: str) -> Action:
    group = seen.group
    text = (
        f"{seen.context.ended} instances were ended and group {group.name} still launches something other than "
        f"{version}: {doomed[0]} and {len(doomed) - 1} others. No more are ended. Compare the group's launch template "
        f"and mixed instances policy with version {group.template_version} of launch template {group.name}, correct "
        "them, then run rollback.yml again: the release stays open until then."
    )
    return Action(Kind.REFUSE, text, failure=FleetError(text))


def _below(group: Group, count: int, floor: int) -> str:
    """One must go even where that leaves fewer than the floor."""
    stay = group.in_service - count
    if stay >= floor:
        return ""
    return f"; {stay} of {group.desired} stay in service meanwhile, below {FLOOR} %: so small a group has none to spare"


def _settled(seen: Observation, stable: Release) -> Action:
    serving = seen.group.serving(stable.template_version)
    if serving < seen.group.desired:
        return Action(Kind.WAIT, f"going back: {serving} of {seen.group.desired} instances in service{TO_LAUNCH}")
    return _return(seen, f"every instance runs {stable.version} again")


def is_settled(seen: Observation) -> bool:
    """Whether everything runs the stable release again."""
    template, group = seen.ledger.stable_template, seen.group
    back = group.template_version == template and not group.strangers(template)
    return template is not None and back and group.serving(template) >= group.desired


def _return(seen: Observation, outcome: str) -> Action:
    if seen.failures.requests:
        return Action(Kind.REPLAY, count_text(seen.ledger, seen.failures))
    left = seen.ledger.candidate.version if seen.ledger.candidate else "the release"
    reason = f"{left} was rolled back: {seen.ledger.reason or 'no reason recorded'}; {outcome}"
    reason += outcome_text(seen.ledger, seen.failures)
    return Action(Kind.RETURN, reason, reason=reason)
