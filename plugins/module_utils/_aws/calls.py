# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""How the collection talks to AWS: one function an API call, its errors turned into the tree of ``_errors``."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import (
    AccessDenied,
    AwsError,
    EndpointUnreachable,
    FleetError,
)

try:
    from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, HTTPClientError
except ImportError:  # AnsibleAWSModule reports the missing library before any call is made
    BotoCoreError = ClientError = EndpointConnectionError = HTTPClientError = Exception

PASSING = (
    *("5", "Internal", "ServiceUnavail", "SlowDown", "TooManyRequests", "RequestLimit", "RequestTimeout"),
    *("ResourceContention", "ScalingActivityInProgress", "TooManyUpdates"),
)
"""What the codes of passing refusals begin with, beside those that speak of throttling (S3 says SlowDown; Auto Scaling
and SSM refuse a change while another one is under way)."""

P = t.ParamSpec("P")
R = t.TypeVar("R")

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})


class Aws(t.Protocol):
    """Where clients come from: ``AnsibleAWSModule`` in a module, a plain session in a harness."""

    def client(self, service: str) -> t.Any:
        """A boto3 client of that service; asked again, it may be the same one."""


class Clients:
    """The clients of another source, each made once: reading a service's description costs a tenth of a second."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._made: dict[str, t.Any] = {}

    def client(self, service: str) -> t.Any:
        """The boto3 client of that service."""
        if service not in self._made:
            self._made[service] = self._aws.client(service)
        return self._made[service]


def error_code(error: BaseException | None) -> str:
    """The AWS error code of a ClientError, or an empty string."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def is_passing(error: FleetError) -> bool:
    """Whether the same call may go through later: throttling, a fault on AWS's side, no answer."""
    code = str(error.details.get("code", ""))
    return isinstance(error, EndpointUnreachable) or "Throttl" in code or code.startswith(PASSING)


def aws_call(verb: str) -> t.Callable[[t.Callable[P, R]], t.Callable[P, R]]:
    """Decorate one API call; ``verb`` completes "Cannot …" ("read the ledger").

    Raises: AccessDenied, EndpointUnreachable, AwsError; the ClientError stays the cause.
    """

    def decorate(function: t.Callable[P, R]) -> t.Callable[P, R]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except (ClientError, BotoCoreError) as error:
                raise translate(verb, error) from error

        return wrapper

    return decorate


def translate(verb: str, error: Exception) -> FleetError:
    """The error of the tree that a botocore error stands for."""
    if isinstance(error, (EndpointConnectionError, HTTPClientError)):
        return EndpointUnreachable(
            f"Cannot {verb}: no answer from AWS ({error}). Check the endpoint, the region and the network."
        )
    code = error_code(error)
    operation = getattr(error, "operation_name", "")
    if code in DENIED:
        return AccessDenied(
            f"Cannot {verb}: access denied to {operation}. Allow that action for the credentials in use.",
            operation=operation,
            code=code,
        )
    return AwsError(f"Cannot {verb}: {error}", code=code, operation=operation)
