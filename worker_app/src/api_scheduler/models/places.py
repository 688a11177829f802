# SPDX-License-Identifier: Apache-2.0
"""Where a model lies: a directory or one ``.safetensors`` file, on this machine or in S3."""

from __future__ import annotations

import dataclasses
import re

from api_scheduler.models.errors import ModelUnusable

WEIGHTS = ".safetensors"
MANIFEST = "SHA256SUMS"
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle")
_PIN = re.compile(r"(?P<at>.*)@sha256:(?P<sha256>[0-9a-f]{64})\Z", re.DOTALL)
_BUCKET = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,62})/(?P<key>.*)\Z", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Place:
    """A location, taken apart."""

    location: str
    bucket: str
    """Empty: on this machine."""
    base: str
    """The folder that names are relative to and that the manifest lies in; ends in a slash where it is not empty."""
    single: str
    """The name of the one file of weights; empty for a directory in diffusers format."""
    pin: str
    """The sha256 that the manifest must have; empty: any."""

    @property
    def config(self) -> str:
        """The folder, below the base, that ``model_index.json`` lies in: of a single file, the one of its name."""
        return self.single.removesuffix(WEIGHTS) + "/" if self.single else ""


def parse(location: str) -> Place:
    """The place that a location names. Raises ModelUnusable."""
    pinned = _PIN.match(location)
    at, pin = (pinned["at"], pinned["sha256"]) if pinned else (location, "")
    if at.lower().endswith(PICKLES):
        raise ModelUnusable(f"{location} is a pickle, which is never read: convert it to {WEIGHTS}")
    if not at.startswith("s3://"):
        return _place(location, "", at, pin)
    found = _BUCKET.match(at)
    if found is None:
        raise ModelUnusable(f"{location} is no location in S3: write s3://bucket/prefix/ or s3://bucket/file{WEIGHTS}")
    return _place(location, found["bucket"], found["key"], pin)


def _place(location: str, bucket: str, path: str, pin: str) -> Place:
    if not path.endswith(WEIGHTS):
        folder = path.rstrip("/") + "/" if path.rstrip("/") else ("" if bucket else "/")
        return Place(location, bucket, folder, "", pin)
    base, slash, name = path.rpartition("/")
    return Place(location, bucket, base + slash, name, pin)
