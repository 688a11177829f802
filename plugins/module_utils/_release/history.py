# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The release history in S3: what was planned, seen, decided, by whom. One object a release."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import aws_call, error_code

PREFIX = "releases/"
DIGITS = 6
"""Sequence numbers are padded so that the listing is in order."""


def key(sequence: int) -> str:
    """Where the record of that release lies."""
    return f"{PREFIX}{sequence:0{DIGITS}d}.json"


@aws_call("write the release history")
def write(s3: t.Any, bucket: str, record: t.Mapping[str, t.Any]) -> None:
    """Write one record whole."""
    body = json.dumps(record, indent=2, sort_keys=True).encode()
    s3.put_object(Bucket=bucket, Key=key(record["sequence"]), Body=body, ContentType="application/json")


@aws_call("read the release history")
def read(s3: t.Any, bucket: str, sequence: int) -> dict[str, t.Any] | None:
    """One record; None where there is none."""
    try:
        return dict(json.loads(s3.get_object(Bucket=bucket, Key=key(sequence))["Body"].read()))
    except s3.exceptions.ClientError as error:
        if error_code(error) in ("NoSuchKey", "404"):
            return None
        raise


def newest(s3: t.Any, bucket: str, count: int) -> list[dict[str, t.Any]]:
    """The last records, newest first."""
    keys = sorted(_keys(s3, bucket), reverse=True)[:count]
    records = (read(s3, bucket, int(name.removeprefix(PREFIX).removesuffix(".json"))) for name in keys)
    return [record for record in records if record is not None]


@aws_call("list the release history")
def _keys(s3: t.Any, bucket: str) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX)
    return [row["Key"] for page in pages for row in page.get("Contents", ()) if row["Key"].endswith(".json")]
