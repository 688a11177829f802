# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Whether a container engine has to build and push: decided from values, before anything is built.

What an engine builds has another digest each time, so an image is known by what it was built from: the sha256 of the
sources and build arguments, which it carries in a label.
"""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import Conflict
from ansible_collections.diffusion.fleet.plugins.module_utils._images.oci import canonical_json

Decision = t.Literal["build", "nothing"]


@dataclasses.dataclass(frozen=True)
class Pushed:
    """The image that bears the version in the repository."""

    digest: str
    source_sha256: str
    """Empty: it was not built by an engine of ours."""


def source_sha256(files: t.Mapping[str, bytes], arguments: t.Mapping[str, str]) -> str:
    """What names the content of an image that an engine builds."""
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    return hashlib.sha256(canonical_json({"files": digests, "arguments": dict(arguments)})).hexdigest()


def decide(*, repository: str, version: str, source: str, pushed: Pushed | None) -> Decision:
    """``build`` for a version that is not there, ``nothing`` for one of the same content. Raises Conflict."""
    if pushed is None:
        return "build"
    if pushed.source_sha256 == source:
        return "nothing"
    other = (
        f"from other content ({pushed.source_sha256[:12]})"
        if pushed.source_sha256
        else "by something else than a build"
    )
    raise Conflict(
        f"version={version} of {repository} is already pushed {other} as {pushed.digest}, and this source is "
        f"{source[:12]}. A version is never overwritten: choose a new version.",
        pushed_digest=pushed.digest,
        pushed_source_sha256=pushed.source_sha256,
        source_sha256=source,
    )
