# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The smoke pictures of both releases, from the bucket, by their seed. Reads only."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import aws_call
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.pictures import HAS_PILLOW, Pictures, distance
from ansible_collections.diffusion.fleet.plugins.module_utils._release.smoke import smoke_prefix

KEY = re.compile(r"(?P<step>\d+)-(?P<number>\d+)/0\.png")
PILLOW = "pip install Pillow on the controller"


class Drawn(t.NamedTuple):
    """One smoke picture in the bucket."""

    key: str
    etag: str


def compare_pictures(s3: t.Any, bucket: str, sequence: int, candidate: str, stable: str, count: int) -> Pictures:
    """Compare what both releases drew from the same seeds; what cannot be read is told in the note.

    Stable draws at the early steps and has no instances at the last one: its picture of any step of this release
    will do, since the request is the same. Of the candidate it is the latest.
    """
    try:
        ours = drawn(s3, bucket, smoke_prefix(candidate, sequence))
        theirs = drawn(s3, bucket, smoke_prefix(stable, sequence))
        pairs = [(ours[number], theirs[number]) for number in range(count) if number in ours and number in theirs]
        if not HAS_PILLOW and any(left.etag != right.etag for left, right in pairs):
            return Pictures(count, note=f"they are not the same files; to compare them, {PILLOW}")
        return Pictures(count, tuple(_distance(s3, bucket, *pair) for pair in pairs))
    except FleetError as error:
        return Pictures(count, note=error.message)
    except OSError as error:
        return Pictures(count, note=f"one of them cannot be read ({error})")


def drawn(s3: t.Any, bucket: str, prefix: str) -> dict[int, Drawn]:
    """The first picture of each smoke request by its number, of the latest step that drew it."""
    found: dict[int, tuple[int, Drawn]] = {}
    for row in _list(s3, bucket, f"results/{prefix}"):
        match = KEY.fullmatch(row["Key"].removeprefix(f"results/{prefix}"))
        if match is None:
            continue
        step, number = int(match["step"]), int(match["number"])
        if number not in found or found[number][0] < step:
            found[number] = (step, Drawn(row["Key"], row["ETag"]))
    return {number: picture for number, (_step, picture) in found.items()}


def _distance(s3: t.Any, bucket: str, ours: Drawn, theirs: Drawn) -> float:
    if ours.etag == theirs.etag:
        return 0.0
    return distance(_read(s3, bucket, ours.key), _read(s3, bucket, theirs.key))


@aws_call("list the smoke pictures")
def _list(s3: t.Any, bucket: str, prefix: str) -> list[dict[str, t.Any]]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [row for page in pages for row in page.get("Contents", ())]


@aws_call("read a smoke picture")
def _read(s3: t.Any, bucket: str, key: str) -> bytes:
    return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
