# SPDX-License-Identifier: Apache-2.0
"""JSON Schema of requests, results and notices."""

from __future__ import annotations

import typing as t

import pydantic
from pydantic.json_schema import GenerateJsonSchema

from api_scheduler.documents import envelope, result
from api_scheduler.documents.fields import FIELDS
from api_scheduler.documents.payload import HERE, PAYLOADS, Txt2Img

Schema = dict[str, t.Any]
_HEAD = {
    "$comment": "SPDX-License-Identifier: Apache-2.0",
    "$schema": GenerateJsonSchema.schema_dialect,
}
_ABOUT = ("title", "description", "default", HERE)


class _Document(pydantic.BaseModel):
    # Readers pass over members that they do not know: a younger worker may have written them.
    model_config = pydantic.ConfigDict(extra="allow", strict=True)

    schema_: int = pydantic.Field(alias="schema", ge=1, description="readers know the present one and the one before")


class ErrorDocument(pydantic.BaseModel):
    """Why there are no pictures."""

    type: result.ErrorType
    message: str = pydantic.Field(description="for people; of invalid_request, it names the field")
    retryable: bool = pydantic.Field(description="whether sending the request again may help")


class ResultDocument(_Document):
    """`results/<id>/result.json`: the one final answer to a request."""

    id: str
    status: result.Status
    images: list[result.Image] = pydantic.Field(description="where they lie in the bucket; empty unless succeeded")
    parameters: dict[str, t.Any] | None = pydantic.Field(description="as used, under the names of the payload")
    error: ErrorDocument | None
    worker: result.Worker | None = pydantic.Field(description="null where no worker did: its client has cancelled")
    timings_ms: dict[str, float]
    attempts: int = pydantic.Field(ge=0)
    context: t.Any = pydantic.Field(description="the request's own")
    body_sha256: str | None = pydantic.Field(
        pattern="^[0-9a-f]{64}$",
        description="of the body that this answers; null where an id was cancelled, whatever its body",
    )
    message_id: str | None
    sent_at: str | None = pydantic.Field(description="when the request was first sent")
    replayed_from: str | None = pydantic.Field(description="the release whose failed result this one replaces")
    trace_id: str | None = pydantic.Field(default=None, description="since schema 2: of the sender's X-Ray trace")


class NoticeDocument(_Document):
    """What is published about a result: where it lies, and how the request ended."""

    id: str
    status: result.Status
    bucket: str
    key: str
    error_type: result.ErrorType | None
    replayed_from: str | None = None
    trace_id: str | None = None


def request_schema() -> Schema:
    """Of a message's body."""
    definitions: Schema = {}
    choices = [_choice(api, model, definitions) for api, model in PAYLOADS.items()]
    return {
        **_HEAD,
        "title": "Request",
        "description": "The body of a message. A deployment's own limits, models and LoRA are not part of this schema.",
        "type": "object",
        "required": ["api", "payload"],
        "additionalProperties": False,
        "properties": {
            "schema": {"enum": list(envelope.READ), "default": envelope.SCHEMA},
            "id": _or_null({"type": "string", "pattern": f"^{envelope.ID_PATTERN}$"}),
            "api": {"enum": list(envelope.APIS)},
            "payload": {"type": "object"},
            "context": {"description": "anything; comes back in the result"},
            "ttl_seconds": _or_null({"type": "number", "exclusiveMinimum": 0, "maximum": envelope.MAX_TTL}),
            "webhook": {
                **_or_null({"type": "string", "pattern": "^https://", "maxLength": 2048}),
                "description": "since schema 2: told of the end, if the deployment allows its host",
            },
        },
        "allOf": choices,
        "$defs": definitions,
    }


def result_schema() -> Schema:
    """Of a result."""
    return {**_HEAD, **ResultDocument.model_json_schema()}


def notice_schema() -> Schema:
    """Of a notice."""
    return {**_HEAD, **NoticeDocument.model_json_schema()}


SCHEMAS: dict[str, t.Callable[[], Schema]] = {
    "request": request_schema,
    "result": result_schema,
    "notice": notice_schema,
}


def _choice(api: str, model: type[Txt2Img], definitions: Schema) -> Schema:
    """What follows for the payload from the call; its own parts go into the definitions."""
    payload = model.model_json_schema(ref_template="#/$defs/{model}")
    definitions.update(payload.pop("$defs", {}))
    required = payload.get("required", [])
    effective = {name: field if name in required else _or_null(field) for name, field in payload["properties"].items()}
    payload["properties"] = dict(sorted({**effective, **_without_effect(api)}.items()))
    definitions[model.__name__] = payload
    return {
        "if": {"properties": {"api": {"const": api}}},
        "then": {"properties": {"payload": {"$ref": f"#/$defs/{model.__name__}"}}},
    }


def _without_effect(api: str) -> Schema:
    fields = FIELDS[api]
    neutral = {
        name: {"enum": list(one.values), "description": f"neutral values only: {one.why}"}
        for name, one in fields.neutral.items()
    }
    return {**neutral, **{name: {"description": f"no effect: {why}"} for name, why in fields.ignored.items()}}


def _or_null(field: Schema) -> Schema:
    if {"type": "null"} in field.get("anyOf", []):
        return field
    about = {name: value for name, value in field.items() if name in _ABOUT}
    return {**about, "anyOf": [{name: value for name, value in field.items() if name not in about}, {"type": "null"}]}
