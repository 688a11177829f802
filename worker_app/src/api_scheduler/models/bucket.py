# SPDX-License-Identifier: Apache-2.0
"""A model in S3: what lies there, and its small files."""

from __future__ import annotations

import base64
import dataclasses
import typing as t

from botocore.exceptions import ClientError

from api_scheduler.aws import AwsFailure, Client, error_code
from api_scheduler.models.errors import ModelUnusable
from api_scheduler.models.places import Place

_ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})


@dataclasses.dataclass(frozen=True)
class Remote:
    """One object: its name relative to the place's base, and which writing of it is meant."""

    name: str
    size: int
    etag: str


class Bucket:
    """Reads one place."""

    def __init__(self, s3: Client, place: Place) -> None:
        self._s3 = s3
        self._place = place

    def list(self) -> dict[str, Remote]:
        """Every object below the place, by its name. Raises ModelUnusable."""
        prefix = self._place.base + self._place.config.rstrip("/")
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._place.bucket, Prefix=prefix)
        try:
            rows = [row for page in pages for row in page.get("Contents", ())]
        except AwsFailure as error:
            raise self._unusable("list", prefix, error) from error
        names = ((row["Key"].removeprefix(self._place.base), row) for row in rows)
        return {name: Remote(name, row["Size"], row["ETag"]) for name, row in names if _plain(name)}

    def small(self, name: str) -> bytes | None:
        """The bytes of a small file; None where there is none. Raises ModelUnusable."""
        try:
            found = self._s3.get_object(Bucket=self._place.bucket, Key=self._place.base + name)
            return bytes(found["Body"].read())
        except AwsFailure as error:
            if isinstance(error, ClientError) and error_code(error) in _ABSENT:
                return None
            raise self._unusable("read", name, error) from error

    def part(self, file: Remote, first: int, last: int) -> t.Any:
        """The stream of these bytes of a file, both ends included, of exactly the writing that was listed."""
        return self._s3.get_object(
            Bucket=self._place.bucket,
            Key=self._place.base + file.name,
            Range=f"bytes={first}-{last}",
            IfMatch=file.etag,
        )["Body"]

    def sha256(self, name: str) -> str | None:
        """The SHA-256 that S3 itself keeps of the whole file; None where it was uploaded without."""
        try:
            head = self._s3.head_object(Bucket=self._place.bucket, Key=self._place.base + name, ChecksumMode="ENABLED")
        except AwsFailure as error:
            raise self._unusable("read", name, error) from error
        checksum = head.get("ChecksumSHA256", "")
        # Of a composite one, of an upload in parts, the digest is of the parts' digests: "…-12".
        return base64.b64decode(checksum).hex() if checksum and "-" not in checksum else None

    def _unusable(self, verb: str, name: str, error: Exception) -> ModelUnusable:
        code = error_code(error)
        return ModelUnusable(
            f"{self._place.location}: cannot {verb} {name!r} ({code}): may the instance's role read it?"
        )


def _plain(name: str) -> bool:
    """Whether it may be a path below a folder: no folder marker, nothing that climbs."""
    return not name.endswith("/") and all(part not in ("", ".", "..") for part in name.split("/"))
