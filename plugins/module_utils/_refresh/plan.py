# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What is to be done, decided from the group, its refreshes and the wish; nothing here calls AWS."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import Conflict, NotFound
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.compare import (
    differing_preferences,
    replaces_nothing,
    same_configuration,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.group import check_group, check_numbered, name_of
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.options import Document
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.states import active_of

Ending = t.Literal["", "cancel", "rollback"]


@dataclasses.dataclass(frozen=True)
class Plan:
    """The calls to make and what they change."""

    reason: str
    before: dict[str, t.Any]
    after: dict[str, t.Any]
    refresh: Document | None = None
    """The refresh that does, has done or, once the plan is carried out, would do what is asked for."""
    ending: Ending = ""
    """The call that ends the active refresh."""
    starts: bool = False
    """A refresh is started, after the active one has ended."""
    warnings: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.ending) or self.starts


def view(group: Document, refresh: Document | None) -> dict[str, t.Any]:
    """What the difference shows: the refresh under way, where it goes and how."""
    seen = refresh or {}
    return {
        "group": name_of(group),
        "status": seen.get("Status"),
        "strategy": seen.get("Strategy"),
        "desired_configuration": seen.get("DesiredConfiguration"),
        "preferences": seen.get("Preferences"),
    }


def nothing(group: Document, refresh: Document | None, active: Document | None, reason: str, *warnings: str) -> Plan:
    """Leave all as it is."""
    seen = view(group, active)
    return Plan(reason, seen, seen, refresh, warnings=warnings)


def ending(group: Document, active: Document, how: Ending) -> Plan:
    """End the active refresh and no more."""
    status = "Cancelling" if how == "cancel" else "RollbackInProgress"
    turned = {**active, "Status": status}
    return Plan(describe(active), view(group, active), view(group, turned), turned, how)


def plan_started(group: Document, refreshes: t.Sequence[Document], request: Document, on_active: str) -> Plan:
    """How to get a refresh going.

    Raises Conflict when another one is under way and is to be left alone, or when the group cannot be refreshed so.
    """
    check_group(group, request)
    active = active_of(refreshes)
    if active is None and replaces_nothing(group, request):
        return nothing(group, None, None, "every instance already runs the wanted template version")
    if active is not None and on_active == "adopt":
        return adopt(group, active, request)
    if active is not None and on_active == "fail":
        raise Conflict(
            f"{describe(active)}. Wait for it, or choose with on_active: adopt it, cancel it or roll it back first.",
            refresh_id=active.get("InstanceRefreshId"),
        )
    new = {"Status": "Pending", **request}
    before, after = view(group, active), view(group, new)
    if active is None:
        return Plan("no refresh is active", before, after, new, starts=True)
    return Plan(f"{describe(active)}, {on_active} first", before, after, new, clearing(group, active, on_active), True)


def adopt(group: Document, active: Document, request: Document) -> Plan:
    """Take the active refresh for the wanted one."""
    check_adoptable(active, request)
    other = differing_preferences(active, request)
    warnings = [f"{describe(active)} with other preferences than asked for: {', '.join(other)}."] if other else []
    return nothing(group, active, active, "the active refresh goes where it is asked to", *warnings)


def clearing(group: Document, active: Document, on_active: str) -> Ending:
    """The call that ends the active refresh, none when it is ending anyway."""
    if active.get("Status") == "Cancelling" or (on_active == "rollback" and active["Status"] == "RollbackInProgress"):
        return ""
    if on_active == "rollback":
        check_way_back(group, active)
        return "rollback"
    return "cancel"


def plan_cancelled(group: Document, refreshes: t.Sequence[Document]) -> Plan:
    """How to have no refresh going; a cancel also stops a rollback."""
    active = active_of(refreshes)
    if active is None:
        return nothing(group, refreshes[0] if refreshes else None, None, "no refresh is active")
    if active.get("Status") == "Cancelling":
        return nothing(group, active, active, "the refresh is being cancelled")
    return ending(group, active, "cancel")


def plan_rolled_back(group: Document, refreshes: t.Sequence[Document]) -> Plan:
    """How to undo the active refresh.

    Raises NotFound when none is active and the last one was not rolled back, Conflict when AWS cannot go back.
    """
    active = active_of(refreshes)
    last = refreshes[0] if refreshes else {}
    if active is None and last.get("Status") == "RollbackSuccessful":
        return nothing(group, last, None, "the last refresh has been rolled back")
    if active is None:
        ended = f"; {describe(last)}" if last else ""
        raise NotFound(
            f"There is nothing to roll back: {name_of(group)} has no active refresh{ended}. A finished one is "
            "undone by a new one: state=started with the template version to return to."
        )
    if active.get("Status") == "RollbackInProgress":
        return nothing(group, active, active, "the refresh is being rolled back")
    check_way_back(group, active)
    return ending(group, active, "rollback")


def describe(refresh: Document) -> str:
    """One clause about a refresh."""
    return f"Instance refresh {refresh.get('InstanceRefreshId')} is {refresh.get('Status')}"


def check_way_back(group: Document, active: Document) -> None:
    """Raise Conflict when AWS cannot roll the active refresh back."""
    if active.get("Status") == "Cancelling":
        raise Conflict(
            f"{describe(active)}, and what is being cancelled cannot be rolled back. Wait until it has ended, then "
            "start one with the template version to return to."
        )
    if not active.get("DesiredConfiguration"):
        raise Conflict(
            f"{describe(active)} and has no desired configuration, so AWS cannot roll it back. Cancel it, then start "
            "one with the template version to return to."
        )
    check_numbered(group, f"{describe(active)} and is to be rolled back", "cancel it instead")


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
