# SPDX-License-Identifier: Apache-2.0
"""What a fleet answers, as typed values. Documents of the schema before the present one are read too."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import typing as t

from api_scheduler.client.errors import NoSuccess, Unreadable
from api_scheduler.documents.result import SCHEMA

FINAL = ("succeeded", "failed", "cancelled", "expired")


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture that lies in the deployment's bucket."""

    key: str
    seed: int
    width: int
    height: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why there are no pictures; ``retryable`` says whether sending the request again, under a new id, may help."""

    type: str
    message: str
    retryable: bool


@dataclasses.dataclass(frozen=True)
class Result:
    """The one answer to a request."""

    id: str
    status: str
    """``succeeded``, ``failed``, ``cancelled`` or ``expired``."""
    pictures: tuple[Picture, ...]
    error: Failure | None
    parameters: t.Mapping[str, t.Any] | None
    context: t.Any
    attempts: int
    timings_ms: t.Mapping[str, float]
    worker: t.Mapping[str, str]
    """Who answered; empty where no worker did, as with a cancelled request."""
    sent_at: dt.datetime | None
    replayed_from: str | None
    trace_id: str | None
    document: t.Mapping[str, t.Any] = dataclasses.field(repr=False)
    """As it lies in the bucket."""

    @property
    def succeeded(self) -> bool:
        """Whether there are pictures."""
        return self.status == "succeeded"

    def required(self) -> Result:
        """Itself. Raises NoSuccess where the request ended otherwise than with pictures."""
        if not self.succeeded:
            kind, text = (self.error.type, self.error.message) if self.error else (None, "")
            raise NoSuccess(self.id, self.status, kind, text)
        return self


def read_result(data: bytes | str) -> Result:
    """The result in a document of this schema or the one before. Raises Unreadable."""
    document = read_document(data)
    try:
        return Result(
            id=document["id"],
            status=document["status"],
            pictures=tuple(_picture(image) for image in document.get("images") or ()),
            error=_failure(document.get("error")),
            parameters=document.get("parameters"),
            context=document.get("context"),
            attempts=int(document.get("attempts") or 0),
            timings_ms=document.get("timings_ms") or {},
            worker=document.get("worker") or {},
            sent_at=_moment(document.get("sent_at")),
            replayed_from=document.get("replayed_from"),
            trace_id=document.get("trace_id"),
            document=document,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable(f"this is no result: {type(error).__name__}: {error}") from error


def read_document(data: bytes | str) -> dict[str, t.Any]:
    """A JSON object of a schema that is known here. Raises Unreadable."""
    try:
        document = json.loads(data)
    except ValueError as error:
        raise Unreadable(f"this is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Unreadable(f"this is a JSON {type(document).__name__}, not an object")
    if document.get("schema", SCHEMA) not in (SCHEMA - 1, SCHEMA):
        raise Unreadable(f"schema {document['schema']!r} is not known here: take a newer client")
    return document


def _picture(image: t.Mapping[str, t.Any]) -> Picture:
    return Picture(**{field.name: image[field.name] for field in dataclasses.fields(Picture)})


def _failure(error: t.Mapping[str, t.Any] | None) -> Failure | None:
    return Failure(error["type"], error["message"], bool(error["retryable"])) if error else None


def _moment(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
