# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Which image a version is: the registry's answers."""

from __future__ import annotations

import datetime as dt
import re
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import aws_call, error_code
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput, NotFound
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import REJECTED_KEPT, Ledger
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import Group

MOVING_TAG = "latest"
"""A tag that older build scripts moved along: it names no version."""
ATTACHED = re.compile(r"sha256-([0-9a-f]{64})(?:\.[a-z]+)?")
"""The tag of what is attached to an image, such as a signature, as cosign and the fallback of OCI name it."""


def resolve(ecr: t.Any, names: Names, version: str | None) -> list[tuple[str, str]]:
    """(version, digest) of the images asked for: that version, or all of them, newest push first.

    Raises: NotFound, InvalidInput when the version was never pushed.
    """
    images = _images(ecr, names.group)
    tagged = [(tag, row["imageDigest"]) for row in images for tag in row.get("imageTags", ()) if is_version(tag)]
    if version is None:
        return tagged
    found = [pair for pair in tagged if pair[0] == version]
    if not found:
        known = ", ".join(tag for tag, _unused in tagged[:10]) or "none"
        raise InvalidInput(
            f"version={version} is not in repository {names.group} (pushed: {known}). "
            f"Run build.yml -e version={version} first, or choose one of these."
        )
    return found


def is_version(tag: str) -> bool:
    """Whether a tag names one image for ever, and a worker's."""
    return tag != MOVING_TAG and not ATTACHED.fullmatch(tag)


def choose(tagged: t.Sequence[tuple[str, str]], ledger: Ledger, retry_rejected: bool) -> tuple[str, str]:
    """The image to release: the newest that is not rejected.

    Raises: InvalidInput.
    """
    for index, (version, digest) in enumerate(tagged):
        if retry_rejected or not ledger.is_rejected(digest):
            _check_remembered(tagged, index, ledger)
            return version, digest
    if not tagged:
        raise InvalidInput("version was left out and no image was pushed yet: run build.yml -e version=… first.")
    version = tagged[0][0]
    reason = next((item.reason for item in ledger.rejected if item.digest == tagged[0][1]), "")
    raise InvalidInput(
        f"version={version} was rejected before ({reason}). Build a new version, or insist with -e retry_rejected=true."
    )


def _check_remembered(tagged: t.Sequence[tuple[str, str]], index: int, ledger: Ledger) -> None:
    """An image that lies behind as many rejected ones as the ledger remembers may be one that it has forgotten."""
    older = {digest for _unused, digest in tagged[index:]}
    full = index > 0 and len(ledger.rejected) >= REJECTED_KEPT
    is_stable = ledger.stable is not None and ledger.stable.digest == tagged[index][1]
    if full and not is_stable and not any(item.digest in older for item in ledger.rejected):
        raise InvalidInput(
            f"version was left out and the newest images were all rejected, as many as are remembered: "
            f"{tagged[index][0]} may have been rejected, too. Build a new version, or name one with -e version=…."
        )


@aws_call("read the image repository")
def _images(ecr: t.Any, repository: str) -> list[dict[str, t.Any]]:
    pages = ecr.get_paginator("describe_images").paginate(repositoryName=repository)
    try:
        rows = [row for page in pages for row in page["imageDetails"]]
    except ecr.exceptions.ClientError as error:
        if error_code(error) != "RepositoryNotFoundException":
            raise
        raise NotFound(f"Repository {repository} does not exist: run provision.yml.") from error
    return sorted(rows, key=_pushed_at, reverse=True)


def _pushed_at(row: t.Mapping[str, t.Any]) -> dt.datetime:
    return t.cast(dt.datetime, row["imagePushedAt"])


def image_reference(group: Group, names: Names, digest: str) -> str:
    """How a host names the image: ``registry/repository@digest``."""
    domain = "amazonaws.com.cn" if group.partition == "aws-cn" else "amazonaws.com"
    return f"{group.account_id}.dkr.ecr.{group.region}.{domain}/{names.group}@{digest}"
