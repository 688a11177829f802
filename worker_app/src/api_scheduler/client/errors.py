# SPDX-License-Identifier: Apache-2.0
"""What may go wrong between an application and its fleet: one small tree below FleetError."""

from __future__ import annotations

import typing as t


class FleetError(Exception):
    """Anything that the client raises."""


class BadRequest(FleetError):
    """A request, an id or an argument cannot be meant; the message names it."""


class NotThere(FleetError):
    """The deployment, or a picture of a result, does not exist."""


class Unreadable(FleetError):
    """What lies in the bucket is no document of a schema that this client knows."""


class OtherContent(FleetError):
    """A picture is not the one that its result tells of."""


class CallFailed(FleetError):
    """AWS refused a call, or could not be reached; ``code`` is its reason."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class NotSent(FleetError):
    """Some requests are not in the queue. Sending all of them again is harmless: those that are there stay one."""

    def __init__(self, sent: t.Sequence[str], refused: t.Mapping[str, str]) -> None:
        reasons = "; ".join(f"{request_id}: {reason}" for request_id, reason in list(refused.items())[:3])
        more = f"; and {len(refused) - 3} more" if len(refused) > 3 else ""
        super().__init__(f"{len(refused)} of {len(sent) + len(refused)} requests were not sent: {reasons}{more}")
        self.sent = tuple(sent)
        self.refused = dict(refused)


class NoSuccess(FleetError):
    """A request ended otherwise than with pictures; ``status`` and ``error_type`` say how."""

    def __init__(self, request_id: str, status: str, error_type: str | None, message: str) -> None:
        super().__init__(f"{request_id} {status}{f' ({error_type}): {message}' if error_type else ''}")
        self.request_id = request_id
        self.status = status
        self.error_type = error_type
