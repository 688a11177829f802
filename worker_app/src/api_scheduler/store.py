# SPDX-License-Identifier: Apache-2.0
"""The bucket: where pictures, results and the attempts' records lie."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import typing as t

from botocore.exceptions import ClientError

from api_scheduler.aws import Client, error_code

_TAKEN = frozenset({"PreconditionFailed", "412"})  # not 409: that is two writers at once, to be tried again
_ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})
_ONLY_NEW = {"IfNoneMatch": "*"}
_BODY_SHA = "body-sha256"
_RELEASE = "release-id"
_ERROR_TYPE = "error-type"
FAILED = "state/failed/"
"""Below it lies the body of every request that failed, by release and time: what a rollback sends again."""


class OtherBody(Exception):
    """A picture of another body lies under this request's id: the id was used twice."""


@dataclasses.dataclass(frozen=True)
class Kept:
    """A document as it lies in the bucket, empty where it is none; ``etag`` names this very writing of it."""

    document: dict[str, t.Any]
    etag: str


class Store:
    """The deployment's bucket. Only keys below ``results/`` and ``state/`` are ever written."""

    def __init__(self, s3: Client, bucket: str) -> None:
        self._s3 = s3
        self.bucket = bucket

    def result(self, request_id: str) -> Kept | None:
        """A request's final result, None while there is none."""
        return self._read(result_key(request_id))

    def put_result(self, request_id: str, document: dict[str, t.Any], replaces: Kept | None = None) -> bool:
        """Write the one final result, or replace exactly that one; False when another worker was first."""
        body = json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False).encode("utf-8")
        condition = {"IfMatch": replaces.etag} if replaces else _ONLY_NEW
        return self._put(result_key(request_id), body, "application/json", {}, condition)

    def put_failed(self, release_id: str, request_id: str, at: dt.datetime, body: str, error_type: str) -> None:
        """Keep the body of a request that this release is about to fail, for a replay by another release."""
        data = body.encode("utf-8", "surrogatepass")
        moment = at.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        key = f"{FAILED}{release_id}/{moment}/{request_id}/{hashlib.sha256(data).hexdigest()}"
        self._s3.put_object(Bucket=self.bucket, Key=key, Body=data, Metadata={_ERROR_TYPE: error_type})

    def input(self, key: str, most: int) -> bytes | None:
        """The first so many bytes of a client's own upload; None where it is not, or the key is none of ``inputs/``."""
        found = self._get(key) if key.startswith("inputs/") else None
        return bytes(found["Body"].read(most)) if found else None

    def body(self, key: str) -> str | None:
        """A request's body that is kept here; None where it is not, or the key is no body's."""
        if not key.startswith(FAILED) and not (key.startswith("results/") and key.endswith("/request.json")):
            return None
        found = self._get(key)
        return found["Body"].read().decode("utf-8", "surrogatepass") if found else None

    def put_request(self, request_id: str, body: str) -> None:
        """Keep the body of a request that failed beside its result."""
        self._s3.put_object(
            Bucket=self.bucket,
            Key=request_key(request_id),
            Body=body.encode("utf-8", "surrogatepass"),
            ContentType="application/json",
        )

    def put_picture(
        self,
        request_id: str,
        number: int,
        png: bytes,
        body_sha256: str,
        release_id: str,
        not_of: str | None = None,
        replace: bool = False,
    ) -> tuple[str, str]:
        """Write a picture; its key and sha256. Raises OtherBody where a picture of another body lies.

        A picture that an earlier attempt at the same body left there stays: two workers that draw the same request
        then agree on its pictures, whichever of them writes the result. One of the release ``not_of`` is replaced,
        and with ``replace`` any: what was flagged must not stay because a worker without a checker had drawn it.
        """
        key, facts = f"results/{request_id}/{number}.png", {_BODY_SHA: body_sha256, _RELEASE: release_id}
        condition: dict[str, str] = _ONLY_NEW
        while not self._put(key, png, "image/png", facts, condition):
            there = self._s3.get_object(Bucket=self.bucket, Key=key)
            if there["Metadata"].get(_BODY_SHA) != body_sha256:
                raise OtherBody(key)
            if not replace and (not_of is None or there["Metadata"].get(_RELEASE) != not_of):
                return key, hashlib.sha256(there["Body"].read()).hexdigest()
            condition = {"IfMatch": there["ETag"]}
        return key, hashlib.sha256(png).hexdigest()

    def state(self, request_id: str) -> dict[str, t.Any] | None:
        """The record of a request's attempts, None while there is none that can be read."""
        kept = self._read(state_key(request_id))
        return kept.document if kept and kept.document else None

    def put_state(self, request_id: str, document: dict[str, t.Any]) -> None:
        """Write the record of a request's attempts."""
        self._s3.put_object(
            Bucket=self.bucket,
            Key=state_key(request_id),
            Body=json.dumps(document).encode(),
            ContentType="application/json",
        )

    def put_progress(self, request_id: str, document: dict[str, t.Any]) -> None:
        """Tell how far a drawing is."""
        self._s3.put_object(
            Bucket=self.bucket,
            Key=progress_key(request_id),
            Body=json.dumps(document).encode(),
            ContentType="application/json",
        )

    def delete_progress(self, request_id: str) -> None:
        """The drawing has ended, well or not."""
        self._s3.delete_object(Bucket=self.bucket, Key=progress_key(request_id))

    def _read(self, key: str) -> Kept | None:
        found = self._get(key)
        if found is None:
            return None
        try:
            document = json.loads(found["Body"].read())
        except (ValueError, RecursionError):
            document = None
        return Kept(document if isinstance(document, dict) else {}, found["ETag"])

    def _get(self, key: str) -> dict[str, t.Any] | None:
        try:
            found: dict[str, t.Any] = self._s3.get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error_code(error) in _ABSENT:
                return None
            raise
        return found

    def _put(
        self, key: str, body: bytes, content_type: str, metadata: dict[str, str], condition: dict[str, str]
    ) -> bool:
        try:
            self._s3.put_object(
                Bucket=self.bucket, Key=key, Body=body, ContentType=content_type, Metadata=metadata, **condition
            )
        except ClientError as error:
            # Absent: what was to be replaced has been removed meanwhile.
            if error_code(error) in _TAKEN | (_ABSENT if "IfMatch" in condition else set()):
                return False
            raise
        return True


def result_key(request_id: str) -> str:
    """Where a request's result lies."""
    return f"results/{request_id}/result.json"


def progress_key(request_id: str) -> str:
    """Where it stands how far a long drawing is."""
    return f"state/progress/{request_id}.json"


def state_key(request_id: str) -> str:
    """Where the record of a request's attempts lies."""
    return f"state/{request_id}.json"


def request_key(request_id: str) -> str:
    """Where the body of a request that failed lies."""
    return f"results/{request_id}/request.json"
