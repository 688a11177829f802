# SPDX-License-Identifier: Apache-2.0
"""A request as an application writes it: its id and its body are settled when it is made."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import typing as t
import uuid

from api_scheduler.client.errors import BadRequest, Unreadable
from api_scheduler.documents.envelope import IMG2IMG, READ, TXT2IMG, is_request_id

MAX_BYTES = 1024 * 1024
"""What SQS takes in one message, and in one batch."""
MAX_BATCH = 10


def new_id() -> str:
    """An id that nobody has used."""
    return uuid.uuid4().hex


@dataclasses.dataclass(frozen=True)
class Request:
    """One request. Sent twice it is drawn once, for its id and its body stay the same."""

    payload: t.Mapping[str, t.Any]
    api: str = TXT2IMG
    id: str = dataclasses.field(default_factory=new_id)
    context: t.Any = None
    """Comes back in the result."""
    ttl_seconds: float | None = None
    webhook: str | None = None
    """Where the deployment tells of its end; to hosts that it allows."""
    body: str = dataclasses.field(init=False, repr=False)
    """As it goes to the queue."""

    def __post_init__(self) -> None:
        if not is_request_id(self.id):
            raise BadRequest(f"id={self.id!r} is not an id: 1 to 128 of letters, digits, '.', '_' and '-'")
        try:
            body = json.dumps(self.document(), sort_keys=True, ensure_ascii=False, allow_nan=False)
            size = len(body.encode("utf-8"))
        except (TypeError, ValueError) as error:
            raise BadRequest(f"request {self.id}: cannot be written as JSON ({error})") from error
        if size > MAX_BYTES:
            text = f"{size} bytes are more than the {MAX_BYTES} of a message; put its pictures under inputs/ in the"
            raise BadRequest(f"request {self.id}: {text} deployment's bucket and write s3:// addresses")
        object.__setattr__(self, "body", body)

    @classmethod
    def txt2img(cls, prompt: str, **payload: t.Any) -> Request:
        """A picture from a text; ``payload`` are fields of that API."""
        return cls({"prompt": prompt, **payload})

    @classmethod
    def img2img(cls, pictures: t.Iterable[bytes | str], prompt: str, **payload: t.Any) -> Request:
        """A picture from a picture: bytes of a PNG or JPEG, or text as the API takes it."""
        images = [base64.b64encode(one).decode() if isinstance(one, bytes) else one for one in pictures]
        return cls({"init_images": images, "prompt": prompt, **payload}, IMG2IMG)

    @classmethod
    def read(cls, body: str) -> Request:
        """A request from its body, as it lies beside the result of one that failed. Raises Unreadable."""
        try:
            document = json.loads(body)
            if document.get("schema", READ[-1]) not in READ:
                raise Unreadable(f"schema {document['schema']!r} of a request is not known here: take a newer client")
            known = [field.name for field in dataclasses.fields(cls) if field.init]
            return cls(**{name: document[name] for name in known if document.get(name) is not None})
        except (ValueError, TypeError, AttributeError) as error:
            raise Unreadable(f"this is no request: {error}") from error

    def document(self) -> dict[str, t.Any]:
        """What the body says."""
        optional = {"context": self.context, "ttl_seconds": self.ttl_seconds, "webhook": self.webhook}
        given = {name: value for name, value in optional.items() if value is not None}
        return {"id": self.id, "api": self.api, "payload": dict(self.payload), **given}

    @property
    def body_sha256(self) -> str:
        """By which a worker tells a repeated request from another one under the same id."""
        return hashlib.sha256(self.body.encode("utf-8")).hexdigest()


def batches(requests: t.Iterable[Request]) -> list[list[Request]]:
    """Groups that SQS takes in one call, in order; what is given twice is in once. Raises BadRequest."""
    groups: list[list[Request]] = []
    room = 0
    for request in _once(requests):
        size = len(request.body.encode("utf-8"))
        if not groups or len(groups[-1]) == MAX_BATCH or size > room:
            groups.append([])
            room = MAX_BYTES
        groups[-1].append(request)
        room -= size
    return groups


def _once(requests: t.Iterable[Request]) -> t.Iterable[Request]:
    seen: dict[str, Request] = {}
    for request in requests:
        if seen.setdefault(request.id, request).body != request.body:
            raise BadRequest(f"id={request.id!r} stands for two different requests; give each its own")
    return seen.values()
