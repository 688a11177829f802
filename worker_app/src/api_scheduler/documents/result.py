# SPDX-License-Identifier: Apache-2.0
"""The result document: the one final answer to a request."""

from __future__ import annotations

import dataclasses
import typing as t

SCHEMA = 2
"""The present one: 2 added ``trace_id``. Readers know the one before too, and pass over members unknown to them."""
Status = t.Literal["succeeded", "failed", "cancelled", "expired"]
ErrorType = t.Literal[
    "invalid_request",
    "transient",
    "out_of_memory",
    "invalid_output",
    "worker_lost",
    "id_conflict",
    "expired",
    "cancelled",
]
GIVEN_UP: frozenset[ErrorType] = frozenset({"transient", "out_of_memory", "invalid_output", "worker_lost"})
"""What a request is given up for after its attempts: the worker's failures, not the client's."""
_RETRYABLE = frozenset({"transient", "invalid_output", "worker_lost", "expired"})


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why a request failed."""

    type: ErrorType
    message: str

    def document(self) -> dict[str, t.Any]:
        """As it stands in the result; ``retryable`` says whether sending the request again may help."""
        return {"type": self.type, "message": self.message, "retryable": self.type in _RETRYABLE}


@dataclasses.dataclass(frozen=True)
class Image:
    """A picture that lies in the bucket."""

    key: str
    seed: int
    width: int
    height: int
    sha256: str
    nsfw: bool | None = None
    """Whether the safety checker has blackened it; None where the worker has none."""


@dataclasses.dataclass(frozen=True)
class Worker:
    """Who answered."""

    instance_id: str
    image_version: str
    release_id: str
    engine: str


@dataclasses.dataclass(frozen=True)
class Result:
    """Everything a client learns."""

    request_id: str
    status: Status
    body_sha256: str | None
    """None where a client has cancelled the id, whatever its body."""
    worker: Worker | None
    """Who answered; None where no worker did: the client has cancelled."""
    images: tuple[Image, ...] = ()
    parameters: t.Mapping[str, t.Any] | None = None
    failure: Failure | None = None
    timings_ms: t.Mapping[str, float] = dataclasses.field(default_factory=dict)
    attempts: int = 0
    context: t.Any = None
    message_id: str | None = None
    """Of the message that this answers."""
    sent_at: str | None = None
    """When the request was first sent."""
    replayed_from: str | None = None
    """The release whose failed result this one replaces."""
    trace_id: str | None = None
    """Of the X-Ray trace that the sender began."""

    def document(self) -> dict[str, t.Any]:
        """As it is written to the bucket."""
        return {
            "schema": SCHEMA,
            "id": self.request_id,
            "status": self.status,
            "images": [dataclasses.asdict(image) for image in self.images],
            "parameters": dict(self.parameters) if self.parameters is not None else None,
            "error": self.failure.document() if self.failure else None,
            "worker": dataclasses.asdict(self.worker) if self.worker else None,
            "timings_ms": dict(self.timings_ms),
            "attempts": self.attempts,
            "context": self.context,
            "body_sha256": self.body_sha256,
            "message_id": self.message_id,
            "sent_at": self.sent_at,
            "replayed_from": self.replayed_from,
            "trace_id": self.trace_id,
        }


def cancellation(request_id: str, body_sha256: str | None = None, context: t.Any = None) -> dict[str, t.Any]:
    """The result that a client writes to cancel a request which has none."""
    failure = Failure("cancelled", "its client has cancelled it")
    return Result(request_id, "cancelled", body_sha256, None, failure=failure, context=context).document()


def notice(document: t.Mapping[str, t.Any], bucket: str, key: str) -> dict[str, t.Any]:
    """The short form of a result that is published: where it lies and how the request ended."""
    return {
        "schema": SCHEMA,
        "id": document["id"],
        "status": document["status"],
        "bucket": bucket,
        "key": key,
        "error_type": (document.get("error") or {}).get("type"),
        "replayed_from": document.get("replayed_from"),
        "trace_id": document.get("trace_id"),
    }
