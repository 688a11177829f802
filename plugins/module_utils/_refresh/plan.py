# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What is to be done, decided from the group, its refreshes and the wish; nothing here calls AWS."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import Conflict, NotFound
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.states import active_of

Document = t.Mapping[str, t.Any]
Action = t.Literal["start", "cancel", "rollback"]


@dataclasses.dataclass(frozen=True)
class Plan:
    """The calls to make, in order, and what they change."""

    actions: tuple[Action, ...]
    reason: str
    before: dict[str, t.Any]
    after: dict[str, t.Any]
    refresh: Document | None = None
    """The refresh that already does, or has done, what is asked for."""

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.actions)


def view(group: Document, refresh: Document | None) -> dict[str, t.Any]:
    """What the difference shows: the refresh under way and where it goes."""
    if refresh is None:
        return {"group": group["AutoScalingGroupName"], "status": None, "desired_configuration": None}
    return {
        "group": group["AutoScalingGroupName"],
        "status": refresh.get("Status"),
        "desired_configuration": refresh.get("DesiredConfiguration"),
    }


def plan_started(group: Document, refreshes: t.Sequence[Document], request: Document, on_active: str) -> Plan:
    """How to get a refresh going. Raises Conflict when another one is under way and is to be left alone."""
    active = active_of(refreshes)
    before = view(group, active)
    after = view(group, {"Status": "Pending", **request})
    if active is None:
        if replaces_nothing(group, request):
            return Plan((), "every instance already runs the wanted template version", before, before)
        return Plan(("start",), "no refresh is active", before, after)
    if on_active == "adopt":
        check_adoptable(active, request)
        return Plan((), "the active refresh goes where it is asked to", before, before, active)
    if on_active == "fail":
        raise Conflict(
            f"{describe(active)}. Wait for it, or choose with on_active: adopt it, cancel it or roll it back first.",
            refresh_id=active.get("InstanceRefreshId"),
        )
    return Plan((*clearing(active, on_active), "start"), f"{describe(active)}, {on_active} first", before, after)


def clearing(active: Document, on_active: str) -> tuple[Action, ...]:
    """The call that ends the active refresh, none when it is ending anyway."""
    if active.get("Status") == "Cancelling" or (on_active == "rollback" and active["Status"] == "RollbackInProgress"):
        return ()
    return ("rollback",) if on_active == "rollback" else ("cancel",)


def plan_cancelled(group: Document, refreshes: t.Sequence[Document]) -> Plan:
    """How to have no refresh going; a cancel also stops a rollback."""
    active = active_of(refreshes)
    before = view(group, active)
    if active is None:
        return Plan((), "no refresh is active", before, before, refreshes[0] if refreshes else None)
    if active.get("Status") == "Cancelling":
        return Plan((), "the refresh is being cancelled", before, before, active)
    return Plan(("cancel",), describe(active), before, before | {"status": "Cancelling"})


def plan_rolled_back(group: Document, refreshes: t.Sequence[Document]) -> Plan:
    """How to undo the active refresh. Raises NotFound when none is active and the last one was not rolled back."""
    active = active_of(refreshes)
    before = view(group, active)
    if active is None:
        last = refreshes[0] if refreshes else {}
        if last.get("Status") == "RollbackSuccessful":
            return Plan((), "the last refresh has been rolled back", before, before, last)
        raise NotFound(
            f"There is nothing to roll back: {group['AutoScalingGroupName']} has no active refresh. A finished one is "
            "undone by a new one: state=started with the template version to return to."
        )
    if active.get("Status") == "RollbackInProgress":
        return Plan((), "the refresh is being rolled back", before, before, active)
    if not active.get("DesiredConfiguration"):
        raise Conflict(
            f"{describe(active)} and has no desired configuration, so AWS cannot roll it back. Cancel it, then start "
            "one with the template version to return to."
        )
    return Plan(("rollback",), describe(active), before, before | {"status": "RollbackInProgress"})


def describe(refresh: Document) -> str:
    """One clause about a refresh."""
    return f"Instance refresh {refresh.get('InstanceRefreshId')} is {refresh.get('Status')}"


def check_adoptable(active: Document, request: Document) -> None:
    """Raise Conflict unless the active refresh goes where the request would."""
    if active.get("Status") in ("Cancelling", "RollbackInProgress"):
        raise Conflict(f"{describe(active)}, so it cannot be adopted. Wait until it has ended and run this again.")
    running, wanted = active.get("DesiredConfiguration") or {}, request.get("DesiredConfiguration") or {}
    if not same_configuration(running, wanted):
        raise Conflict(
            f"{describe(active)} with another desired configuration ({dict(running)}), so it cannot be adopted. "
            "Wait for it, or choose on_active=cancel or on_active=rollback."
        )


def same_configuration(running: Document, wanted: Document) -> bool:
    """Whether two desired configurations mean the same; AWS answers a template with both its id and its name."""
    one, other = running.get("LaunchTemplate"), wanted.get("LaunchTemplate")
    if one and other:
        return same_template(one, other)
    return dict(running) == dict(wanted)


def same_template(running: Document, wanted: Document) -> bool:
    """Whether a template specification, as AWS answers it, is the wanted one."""
    return all(running.get(key) == value for key, value in wanted.items())


def replaces_nothing(group: Document, request: Document) -> bool:
    """Whether a refresh with SkipMatching would find every instance, and the group itself, as wanted."""
    if not (request.get("Preferences") or {}).get("SkipMatching"):
        return False
    saved = group.get("LaunchTemplate")
    wanted = (request.get("DesiredConfiguration") or {}).get("LaunchTemplate", saved)
    # A moving version says nothing about what an instance was launched from.
    if not saved or not wanted or not str(wanted.get("Version", "")).isdecimal():
        return False
    running = [saved, *(instance.get("LaunchTemplate") or {} for instance in group.get("Instances", []))]
    return all(same_template(item, wanted) for item in running)
