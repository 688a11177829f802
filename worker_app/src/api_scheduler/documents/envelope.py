# SPDX-License-Identifier: Apache-2.0
"""The body of a message: from text that may hold anything to a request, or to one clear refusal."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from api_scheduler.documents.words import shown

TXT2IMG = "/sdapi/v1/txt2img"
IMG2IMG = "/sdapi/v1/img2img"
APIS = (TXT2IMG, IMG2IMG)
SCHEMA = 2
"""The present one: 2 added img2img, LoRA, the choice of a model, and webhooks."""
READ = (SCHEMA - 1, SCHEMA)
"""A request that names none is read as one of the present schema, which only adds to the one before."""
ID_PATTERN = "[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_ID = re.compile(rf"{ID_PATTERN}\Z")
_FIELDS = ("schema", "id", "api", "payload", "context", "ttl_seconds", "webhook")
_MAX_DEPTH = 32
MAX_TTL = 14 * 24 * 3600


class InvalidRequest(Exception):
    """The request cannot be drawn as written. ``request_id`` and ``context`` are kept where they could be read."""

    def __init__(self, message: str, request_id: str | None = None, context: t.Any = None) -> None:
        super().__init__(message)
        self.request_id = request_id
        self.context = context


class NewerSchema(InvalidRequest):
    """The request is written for workers of a later version: one of them may be at the same queue."""


@dataclasses.dataclass(frozen=True)
class Envelope:
    """A request before its payload is looked at."""

    request_id: str
    api: str
    payload: dict[str, t.Any]
    context: t.Any
    ttl_seconds: float | None
    webhook: str | None = None
    """Where its end is told by HTTPS."""


def is_request_id(text: str) -> bool:
    """Whether that may be a request's id."""
    return _ID.match(text) is not None


def decode(body: bytes, message_id: str, max_bytes: int) -> Envelope:
    """The envelope in a message's body. Raises InvalidRequest."""
    if len(body) > max_bytes:
        raise InvalidRequest(f"body: {len(body)} bytes are more than the {max_bytes} allowed")
    document = _object(_json(body))
    request_id = _request_id(document, message_id)
    try:
        return _envelope(document, request_id, document.get("context"))
    except InvalidRequest as error:
        raise type(error)(str(error), request_id, _usable(document.get("context"))) from None


def _json(body: bytes) -> t.Any:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"body: not UTF-8 (byte {error.start})") from None
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
        # A lone surrogate is valid JSON and no text: it could not be written to the result.
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except InvalidRequest:
        raise
    except RecursionError:
        raise InvalidRequest("body: nested too deeply") from None
    except UnicodeEncodeError:
        raise InvalidRequest("body: holds a lone surrogate, which is no text") from None
    except ValueError as error:
        raise InvalidRequest(f"body: not JSON ({error})") from None
    return document


def _refuse_constant(name: str) -> t.NoReturn:
    raise InvalidRequest(f"body: {name} is not JSON")


def _object(document: t.Any) -> dict[str, t.Any]:
    if not isinstance(document, dict):
        raise InvalidRequest(f"body: must be a JSON object, not {type(document).__name__}")
    return document


def _request_id(document: dict[str, t.Any], message_id: str) -> str:
    given = document.get("id")
    if given is None:
        return message_id
    if not isinstance(given, str) or not is_request_id(given):
        text = f"id: {shown(given)} does not match ^{ID_PATTERN}$"
        raise InvalidRequest(text, None, _usable(document.get("context")))
    return given


def _envelope(document: dict[str, t.Any], request_id: str, context: t.Any) -> Envelope:
    _check_schema(document.get("schema", SCHEMA))
    for name in document:
        if name not in _FIELDS:
            raise InvalidRequest(f"{name[:80]}: unknown field; known are {', '.join(_FIELDS)}")
    api = document.get("api")
    if not isinstance(api, str) or api not in APIS:
        raise InvalidRequest(f"api: {shown(api)} is not supported, write one of {', '.join(APIS)}")
    payload = document.get("payload")
    if not isinstance(payload, dict):
        raise InvalidRequest(f"payload: must be a JSON object, not {type(payload).__name__}")
    if not _depth_ok(document):
        raise InvalidRequest(f"body: nested more than {_MAX_DEPTH} deep")
    if not _finite(context):
        raise InvalidRequest("context: holds a number beyond 1.8e308, which the result could not hold; send it as text")
    return Envelope(
        request_id, api, payload, context, _ttl(document.get("ttl_seconds")), _webhook(document.get("webhook"))
    )


def _check_schema(schema: t.Any) -> None:
    number = isinstance(schema, int) and not isinstance(schema, bool)
    if number and schema > SCHEMA:
        raise NewerSchema(f"schema: {shown(schema)} is later than the {SCHEMA} that is read here")
    if not number or schema not in READ:
        raise InvalidRequest(f"schema: {shown(schema)} is none of {READ[0]} and {READ[1]}; leave it out")


def _ttl(value: t.Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MAX_TTL:
        raise InvalidRequest(f"ttl_seconds: {shown(value)} is not a number above 0 and at most {MAX_TTL}")
    return float(value)


def _webhook(value: t.Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"webhook: {shown(value)} is not the text of an https:// address")
    return value


def _usable(context: t.Any) -> t.Any:
    """What of a refused request's context the result can hold: all of it or nothing."""
    return context if _depth_ok(context) and _finite(context) else None


def _finite(document: t.Any) -> bool:
    # JSON's own number syntax reaches infinity: 1e999 is one.
    try:
        json.dumps(document, allow_nan=False)
    except ValueError:
        return False
    return True


def _depth_ok(document: t.Any) -> bool:
    level = [document]
    for _depth in range(_MAX_DEPTH):
        below: list[t.Any] = []
        for item in level:
            below.extend(item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
        if not below:
            return True
        level = below
    return False
