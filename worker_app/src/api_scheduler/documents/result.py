# SPDX-License-Identifier: Apache-2.0
"""The result document: the one final answer to a request."""

from __future__ import annotations

import dataclasses
import typing as t

SCHEMA = 1
Status = t.Literal["succeeded", "failed", "cancelled", "expired"]
ErrorType = t.Literal[
    "invalid_request", "transient", "out_of_memory", "invalid_output", "worker_lost", "id_conflict", "expired"
]
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
    body_sha256: str
    worker: Worker
    images: tuple[Image, ...] = ()
    parameters: t.Mapping[str, t.Any] | None = None
    failure: Failure | None = None
    timings_ms: t.Mapping[str, float] = dataclasses.field(default_factory=dict)
    attempts: int = 0
    context: t.Any = None

    def document(self) -> dict[str, t.Any]:
        """As it is written to the bucket."""
        return {
            "schema": SCHEMA,
            "id": self.request_id,
            "status": self.status,
            "images": [dataclasses.asdict(image) for image in self.images],
            "parameters": dict(self.parameters) if self.parameters is not None else None,
            "error": self.failure.document() if self.failure else None,
            "worker": dataclasses.asdict(self.worker),
            "timings_ms": dict(self.timings_ms),
            "attempts": self.attempts,
            "context": self.context,
            "body_sha256": self.body_sha256,
        }

    def notice(self, bucket: str, key: str) -> dict[str, t.Any]:
        """The short form that is published: where the result lies and how it ended."""
        return {
            "schema": SCHEMA,
            "id": self.request_id,
            "status": self.status,
            "bucket": bucket,
            "key": key,
            "error_type": self.failure.type if self.failure else None,
        }
