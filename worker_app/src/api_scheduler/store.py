# SPDX-License-Identifier: Apache-2.0
"""The bucket: where pictures, results and the attempts' records lie."""

from __future__ import annotations

import hashlib
import json
import typing as t

from botocore.exceptions import ClientError

from api_scheduler.aws import Client, error_code

_TAKEN = frozenset({"PreconditionFailed", "412"})  # not 409: that is two writers at once, to be tried again
_ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})
_BODY_SHA = "body-sha256"


class OtherBody(Exception):
    """A picture of another body lies under this request's id: the id was used twice."""


class Store:
    """The deployment's bucket. Only keys below ``results/`` and ``state/`` are ever touched."""

    def __init__(self, s3: Client, bucket: str) -> None:
        self._s3 = s3
        self.bucket = bucket

    def result(self, request_id: str) -> dict[str, t.Any] | None:
        """A request's final result, None while there is none."""
        return self._read(result_key(request_id))

    def put_result(self, request_id: str, document: dict[str, t.Any]) -> bool:
        """Write the one final result; False when another worker was first."""
        body = json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False).encode("utf-8")
        return self._create(result_key(request_id), body, "application/json", {})

    def put_request(self, request_id: str, body: str) -> None:
        """Keep the body of a request that failed beside its result."""
        self._s3.put_object(
            Bucket=self.bucket,
            Key=f"results/{request_id}/request.json",
            Body=body.encode("utf-8", "surrogatepass"),
            ContentType="application/json",
        )

    def put_picture(self, request_id: str, number: int, png: bytes, body_sha256: str) -> tuple[str, str]:
        """Write a picture; its key and sha256. Raises OtherBody where a picture of another body lies.

        A picture that an earlier attempt at the same body left there stays: two workers that draw the same request
        then agree on its pictures, whichever of them writes the result.
        """
        key, metadata = f"results/{request_id}/{number}.png", {_BODY_SHA: body_sha256}
        if not self._create(key, png, "image/png", metadata):
            there = self._s3.get_object(Bucket=self.bucket, Key=key)
            if there["Metadata"].get(_BODY_SHA) != body_sha256:
                raise OtherBody(key)
            return key, hashlib.sha256(there["Body"].read()).hexdigest()
        return key, hashlib.sha256(png).hexdigest()

    def state(self, request_id: str) -> dict[str, t.Any] | None:
        """The record of a request's attempts, None while there is none that can be read."""
        try:
            return self._read(f"state/{request_id}.json")
        except ValueError:
            return None

    def put_state(self, request_id: str, document: dict[str, t.Any]) -> None:
        """Write the record of a request's attempts."""
        self._s3.put_object(
            Bucket=self.bucket,
            Key=f"state/{request_id}.json",
            Body=json.dumps(document).encode(),
            ContentType="application/json",
        )

    def _read(self, key: str) -> dict[str, t.Any] | None:
        try:
            body = self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error_code(error) in _ABSENT:
                return None
            raise
        document: dict[str, t.Any] = json.loads(body)
        return document

    def _create(self, key: str, body: bytes, content_type: str, metadata: dict[str, str]) -> bool:
        try:
            self._s3.put_object(
                Bucket=self.bucket, Key=key, Body=body, ContentType=content_type, Metadata=metadata, IfNoneMatch="*"
            )
        except ClientError as error:
            if error_code(error) in _TAKEN:
                return False
            raise
        return True


def result_key(request_id: str) -> str:
    """Where a request's result lies."""
    return f"results/{request_id}/result.json"
