# SPDX-License-Identifier: Apache-2.0
"""Errors of the Auto Scaling API; the codes are those of the API's model."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class ValidationError(ServiceException):
    """A parameter is not acceptable."""

    code = "ValidationError"


class AlreadyExists(ServiceException):
    """A group of that name exists."""

    code = "AlreadyExists"


class ResourceInUse(ServiceException):
    """The group still has instances."""

    code = "ResourceInUse"


class ScalingActivityInProgress(ServiceException):
    """An activity or the cooldown is in the way."""

    code = "ScalingActivityInProgress"


class LimitExceeded(ServiceException):
    """A quota is reached."""

    code = "LimitExceeded"


class InstanceRefreshInProgress(ServiceException):
    """A refresh is active."""

    code = "InstanceRefreshInProgress"


class ActiveInstanceRefreshNotFound(ServiceException):
    """No refresh is active."""

    code = "ActiveInstanceRefreshNotFound"


class IrreversibleInstanceRefresh(ServiceException):
    """The refresh cannot be rolled back."""

    code = "IrreversibleInstanceRefresh"


def group_not_found(name: str) -> ValidationError:
    """The error of every operation on a group that does not exist."""
    return ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
