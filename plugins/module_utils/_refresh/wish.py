# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What module ``instance_refresh`` is asked for, checked, and what one call tells the next."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh import options, request
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.limits import check_model
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.options import Document

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


@dataclasses.dataclass(frozen=True)
class Course:
    """How far a wish has come; what one call of a task hands to the next."""

    reason: str
    diff: dict[str, t.Any]
    warnings: list[str]
    since: str
    """When the waiting began, as ISO text."""
    changed: bool = False
    refresh_id: str = ""
    """The refresh to follow."""
    clearing: bool = False
    """The active refresh has to end first, then the wanted one starts."""
    said: str = ""
    """The last line shown."""


def checked_request(client: t.Any, wish: Wish) -> dict[str, t.Any]:
    """The input of StartInstanceRefresh, empty for the states that start nothing. Raises InvalidInput."""
    check_times(wish)
    if "cancel" in (wish.on_active if wish.state == "started" else wish.state):
        check_operation(client, "CancelInstanceRefresh", options.CANCEL, cancel_options(wish))
    if wish.state != "started":
        check_operation(client, "RollbackInstanceRefresh", options.ROLLBACK, {"name": wish.name})
        return {}
    given = request.start_options(wish.name, wish.strategy, wish.preferences, wish.desired_configuration)
    check_operation(client, "StartInstanceRefresh", options.START, given)
    return request.build_request(wish.name, wish.strategy, wish.preferences, wish.desired_configuration)


def check_operation(client: t.Any, operation: str, tree: options.Tree, given: Document) -> None:
    """Hold the options against the installed botocore's model of an operation."""
    shape = client.meta.service_model.operation_model(operation).input_shape
    check_model(shape, tree, given, botocore_version(client))


def cancel_options(wish: Wish) -> dict[str, t.Any]:
    """The options that CancelInstanceRefresh is made of; its default is not sent: older models lack it."""
    wait = None if wish.wait_for_transitioning_instances else False
    return {"name": wish.name, "wait_for_transitioning_instances": wait}


def botocore_version(client: t.Any) -> str:
    """The version of botocore behind a client, as it tells AWS."""
    agent = str(client.meta.config.user_agent or "")
    return next((part.split("/")[1] for part in agent.split() if part.startswith("Botocore/")), "as installed")


def check_times(wish: Wish) -> None:
    """A wait that can be waited."""
    for option, least in (("wait_timeout", 0), ("poll_seconds", 1)):
        value = getattr(wish, option)
        if value < least:
            raise InvalidInput(f"{option} is {value}. Give {least} seconds or more.")
