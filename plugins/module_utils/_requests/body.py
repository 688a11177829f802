# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""A request as it goes to the queue: the body, its id and its hash. Pure."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput

REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
MAX_BYTES = 1024 * 1024  # what SQS takes in one message, and in one batch
DEFAULT_API = "/sdapi/v1/txt2img"
FIELDS = ("api", "payload", "context", "ttl_seconds")


@dataclasses.dataclass(frozen=True)
class Request:
    """One request: its id, and the body exactly as the worker receives it."""

    id: str
    body: str

    @property
    def sha256(self) -> str:
        """The hash by which the worker tells a repeated request from another one under the same id."""
        return hashlib.sha256(self.body.encode("utf-8")).hexdigest()


def parse_requests(given: t.Sequence[t.Mapping[str, t.Any]]) -> list[Request]:
    """The requests, each under its own id. Raises InvalidInput."""
    requests = [parse_request(item, f"requests[{index}]") for index, item in enumerate(given)]
    seen: dict[str, int] = {}
    for index, request in enumerate(requests):
        if request.id in seen:
            raise InvalidInput(
                f"requests[{index}].id={request.id!r} is also the id of requests[{seen[request.id]}]. "
                "Give each request its own id; the id of a request without one follows from its contents."
            )
        seen[request.id] = index
    return requests


def parse_request(item: t.Mapping[str, t.Any], where: str) -> Request:
    """One request; ``where`` names it in errors. Raises InvalidInput."""
    fields = {name: item[name] for name in FIELDS if item.get(name) is not None}
    fields.setdefault("api", DEFAULT_API)
    _check(fields, where)
    request_id = str(item.get("id") or derived_id(fields))
    if not REQUEST_ID.fullmatch(request_id):
        raise InvalidInput(
            f"{where}.id={request_id!r} is not an id: use 1 to 128 letters, digits, '.', '_' or '-', "
            "starting with a letter or a digit."
        )
    return _sized(Request(request_id, canonical({"id": request_id, **fields})), where)


def _check(fields: t.Mapping[str, t.Any], where: str) -> None:
    if not str(fields["api"]).startswith("/"):
        raise InvalidInput(f"{where}.api={fields['api']!r} is not a path of the API. Write for example {DEFAULT_API}.")
    if not isinstance(fields.get("payload"), dict) or not fields["payload"]:
        raise InvalidInput(f"{where}.payload is empty. Give the fields of {fields['api']}, at least a prompt.")
    if fields.get("ttl_seconds", 1) <= 0:
        raise InvalidInput(f"{where}.ttl_seconds={fields['ttl_seconds']} must be above 0. Leave it out for no limit.")


def _sized(request: Request, where: str) -> Request:
    size = len(request.body.encode("utf-8"))
    if size > MAX_BYTES:
        raise InvalidInput(
            f"{where} has a body of {size} bytes, and a message holds at most {MAX_BYTES}. "
            "Put its pictures under inputs/ in the deployment's bucket and write s3:// addresses."
        )
    return request


def derived_id(fields: t.Mapping[str, t.Any]) -> str:
    """The id of a request that came without one: the same contents have the same id."""
    return "r-" + hashlib.sha256(canonical(fields).encode("utf-8")).hexdigest()[:32]


def canonical(value: t.Any) -> str:
    """The value as JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def batches(requests: t.Sequence[Request], count: int = 10, size: int = MAX_BYTES) -> list[list[Request]]:
    """The requests in groups of at most ``count`` and ``size`` bytes, in order."""
    groups: list[list[Request]] = []
    room = 0
    for request in requests:
        length = len(request.body.encode("utf-8"))
        if not groups or len(groups[-1]) == count or length > room:
            groups.append([])
            room = size
        groups[-1].append(request)
        room -= length
    return groups
