# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The errors of the collection, one tree. Code below ``main`` raises; ``main`` catches the root once.

FleetError
├── InvalidInput        an option or a document is wrong: names the field, the value and the next step
├── NotFound            something that should exist in the account does not
├── AccessDenied        AWS refused the call: names the action and the permission to grant
├── EndpointUnreachable the AWS endpoint did not answer
├── Conflict            something else is under way and was left alone
│   └── LockHeld        another run holds the deployment's lock: names the holder
├── LockLost            another run has taken over; this one must not write any more
├── WaitTimeout         a wait ran out of time: carries the last state seen
└── AwsError            any other refusal by AWS
"""

from __future__ import annotations

import typing as t


class FleetError(Exception):
    """Root of the tree. ``details`` goes to the module's result beside ``msg``."""

    def __init__(self, message: str, **details: t.Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InvalidInput(FleetError):
    """A value given by the user cannot be used."""


class NotFound(FleetError):
    """Something that should exist does not."""


class AccessDenied(FleetError):
    """AWS refused the call for want of a permission."""


class EndpointUnreachable(FleetError):
    """The endpoint did not answer at all."""


class Conflict(FleetError):
    """Something else is under way."""


class LockHeld(Conflict):
    """Another run holds the lock."""


class LockLost(FleetError):
    """Another run has taken the lock over."""


class WaitTimeout(FleetError):
    """A wait ran out of time; ``details`` holds the last state seen and the seconds waited."""


class AwsError(FleetError):
    """Any other refusal by AWS; ``details`` holds ``code``."""
