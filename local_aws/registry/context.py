# SPDX-License-Identifier: Apache-2.0
"""What every part of the registry needs of a request: its repository and the world it asks."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from werkzeug.wrappers import Request, Response

from local_aws import store
from local_aws.registry.errors import API_HEADERS, RegistryError

HOST = f"{store.ACCOUNT}.dkr.ecr.{store.REGION}.amazonaws.com"
"""The name by which clients know the registry."""
API_HOST = f"api.ecr.{store.REGION}.amazonaws.com"
"""The name of ECR's API, for a client that cannot be given another endpoint."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class Context:
    """One request to one repository."""

    request: Request
    name: str
    repository: t.Any
    """moto's."""


def find_repository(name: str) -> t.Any:
    """moto's repository of that name. Raises RegistryError."""
    from moto.ecr.models import ecr_backends

    found = ecr_backends[store.ACCOUNT][store.REGION].repositories.get(name)
    if found is None:
        message = f"The repository with name '{name}' does not exist in the registry with id '{store.ACCOUNT}'"
        raise RegistryError(404, "NAME_UNKNOWN", message)
    return found


def checked_digest(digest: str) -> str:
    """A well-formed digest. Raises RegistryError."""
    if not _DIGEST.fullmatch(digest):
        raise RegistryError(400, "DIGEST_INVALID", f"'{digest}' is no digest: sha256: and 64 hex digits are")
    return digest


def is_digest(reference: str) -> bool:
    """Whether a reference is meant as a digest: no tag holds a colon."""
    return ":" in reference


def reply(status: int, headers: t.Mapping[str, str] | None = None) -> Response:
    """A reply without a body."""
    return Response(b"", status=status, headers={**API_HEADERS, "Content-Length": "0", **(headers or {})})
