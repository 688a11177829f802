# SPDX-License-Identifier: Apache-2.0
"""Start, cancel and roll back, as a client asks for them."""

from __future__ import annotations

import typing as t
import uuid

from local_aws.autoscaling import root_volume, templates
from local_aws.autoscaling.errors import (
    ActiveInstanceRefreshNotFound,
    InstanceRefreshInProgress,
    IrreversibleInstanceRefresh,
    ValidationError,
)
from local_aws.autoscaling.model import Group, Params, Refresh
from local_aws.autoscaling.refresh import engine, preferences

if t.TYPE_CHECKING:
    from local_aws.world import World


def start(world: World, group: Group, params: Params) -> Refresh:
    """StartInstanceRefresh."""
    given = dict(params.get("Preferences") or {})
    strategy = params.get("Strategy") or "Rolling"
    if strategy not in ("Rolling", root_volume.STRATEGY):
        raise ValidationError(f"Strategy must be one of Rolling, {root_volume.STRATEGY}, but is {strategy}.")
    preferences.check(given)
    if group.refresh is not None:
        raise InstanceRefreshInProgress(
            f"An Instance Refresh is already in progress and blocks the execution of this Instance Refresh "
            f"for AutoScalingGroup {group.name}."
        )
    desired = _desired(group, params.get("DesiredConfiguration"))
    full, explicit = preferences.with_defaults(given, group.options.get("InstanceMaintenancePolicy"))
    _check_rollback(group, full, desired)
    if strategy == root_volume.STRATEGY:
        root_volume.check(group, desired)
    refresh = Refresh(str(uuid.uuid4()), strategy, full, explicit, desired, world.now())
    _check_alarms(world, group, refresh)
    group.refreshes.insert(0, refresh)
    refresh.remaining = len(group.active_members())
    engine.set_status(world, group, refresh, "Pending")
    return refresh


def _desired(group: Group, given: Params | None) -> Params | None:
    """The desired configuration, checked and complete."""
    if not given:
        return None
    if len(given) != 1:
        raise ValidationError("Specify either a launch template or a mixed instances policy, not both.")
    overrides = templates.config_overrides(given) + templates.config_overrides(group.config)
    if any("InstanceRequirements" in override for override in overrides):
        raise ValidationError("A desired configuration is not supported with InstanceRequirements.")
    return templates.complete_config(group.account, group.region, given)


def _check_rollback(group: Group, full: Params, desired: Params | None) -> None:
    """AutoRollback needs a numbered way forth and back, and an image given by id."""
    if not full["AutoRollback"]:
        return
    if desired is None:
        raise ValidationError("AutoRollback requires a DesiredConfiguration.")
    if not _reversible(group, desired) or not templates.numbered(desired):
        raise ValidationError(
            "AutoRollback is not supported with the launch template versions $Latest or $Default, nor with an AMI "
            "given as a Systems Manager parameter."
        )


def _reversible(group: Group, desired: Params) -> bool:
    """True when the group's own configuration can be returned to."""
    if not templates.numbered(group.config):
        return False
    specs = [templates.config_spec(config) for config in (group.config, desired)]
    found = [templates.resolve(group.account, group.region, spec) for spec in specs]
    return not any(str(template.data.get("ImageId", "")).startswith("resolve:ssm:") for template in found)


def _check_alarms(world: World, group: Group, refresh: Refresh) -> None:
    """Every alarm must exist and be OK."""
    for name, state in engine.alarm_states(world, group, refresh).items():
        if state is None:
            raise ValidationError(f"The CloudWatch alarm {name} does not exist.")
        if state != "OK":
            raise ValidationError(
                f"The CloudWatch alarm {name} is in {state} state; an instance refresh can only start when it is OK."
            )


def cancel(world: World, group: Group, wait: bool) -> Refresh:
    """CancelInstanceRefresh; a rollback can be cancelled too."""
    refresh = group.refresh
    if refresh is None:
        raise ActiveInstanceRefreshNotFound(
            f"No in progress, baking, pending, or cancelling Instance Refresh found for Auto Scaling group {group.name}"
        )
    refresh.wait_on_cancel = wait
    engine.set_status(world, group, refresh, "Cancelling", "Cancelled due to user request.")
    return refresh


def rollback(world: World, group: Group) -> Refresh:
    """RollbackInstanceRefresh, while a refresh is active."""
    refresh = group.refresh
    if refresh is None or refresh.status in ("Cancelling", "RollbackInProgress"):
        raise ActiveInstanceRefreshNotFound(
            f"No in progress, baking, or pending Instance Refresh found for Auto Scaling group {group.name}"
        )
    if refresh.status == "Baking" and not world.settings.rules.rollback_while_baking_allowed:
        raise IrreversibleInstanceRefresh("The instance refresh is baking and cannot be rolled back.")
    if refresh.desired is None or not _reversible(group, refresh.desired):
        raise IrreversibleInstanceRefresh(
            "The instance refresh has no desired configuration, or the group's launch template uses $Latest, $Default "
            "or a Systems Manager parameter."
        )
    engine.start_rollback(world, group, refresh, "Manual rollback requested by user.")
    return refresh
