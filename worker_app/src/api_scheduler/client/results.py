# SPDX-License-Identifier: Apache-2.0
"""What a fleet answers, as typed values. Documents of the schema before the present one are read too."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import typing as t

from api_scheduler.client.errors import NoSuccess, Unreadable
from api_scheduler.documents.result import SCHEMA, Image

_MISSED, _CLOCK_SECONDS = 3.0, 2.0
"""So many times a worker may miss telling of its progress; how coarse the bucket's times are."""


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
    pictures: tuple[Image, ...]
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


@dataclasses.dataclass(frozen=True)
class Status:
    """Where a request is on its way."""

    state: str
    """``waiting``, ``running``, or a final status."""
    result: Result | None = None
    step: int | None = None
    steps: int | None = None
    attempt: int | None = None
    """The number of the attempt under way, or of the last one that has failed."""
    instance_id: str | None = None

    @property
    def share(self) -> float | None:
        """Of the drawing that is done, from 0 to 1; None while nobody tells."""
        if self.result is not None:
            return 1.0 if self.result.succeeded else None
        return self.step / self.steps if self.step is not None and self.steps else None


def read_progress(data: bytes, age_seconds: float) -> Status | None:
    """What a worker told of a drawing; None when that is so old that it has gone. Raises Unreadable."""
    document = read_document(data, (1,))
    try:
        if age_seconds > _MISSED * float(document["every_seconds"]) + _CLOCK_SECONDS:
            return None
        step, steps, attempt = (int(document[name]) for name in ("step", "steps", "attempt"))
        return Status("running", None, step, steps, attempt, document["instance_id"])
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"this is no progress: {type(error).__name__}: {error}") from error


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


def read_document(data: bytes | str, known: t.Collection[int] = (SCHEMA - 1, SCHEMA)) -> dict[str, t.Any]:
    """A JSON object of a schema that is known here. Raises Unreadable."""
    try:
        document = json.loads(data)
    except ValueError as error:
        raise Unreadable(f"this is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Unreadable(f"this is a JSON {type(document).__name__}, not an object")
    if document.get("schema", next(iter(known))) not in known:
        raise Unreadable(f"schema {document['schema']!r} is not known here: take a newer client")
    return document


def _picture(image: t.Mapping[str, t.Any]) -> Image:
    return Image(**{field.name: image[field.name] for field in dataclasses.fields(Image) if field.name in image})


def _failure(error: t.Mapping[str, t.Any] | None) -> Failure | None:
    return Failure(error["type"], error["message"], bool(error["retryable"])) if error else None


def _moment(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
