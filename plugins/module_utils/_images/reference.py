# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What names an image: the version text, the repository of a deployment, and a full reference."""

from __future__ import annotations

import dataclasses
import re

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput

# ECR: a tag has at most 128 characters and starts with a letter, a digit or an underscore
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DIGEST = re.compile(r"sha256:[a-f0-9]{64}")
REPOSITORY = re.compile(r"(?:[a-z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:[._-][a-z0-9]+)*(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)*")
DEPLOYMENT_ID = re.compile(r"[a-z][a-z0-9-]{1,19}")
# what is attached to an image bears a tag made of the image's digest: sha256-<hex>.sig, sha256-<hex>.sbom
ATTACHMENT = re.compile(r"sha256-[a-f0-9]{64}(?:\.[a-z0-9]+)?")
# words that the plain SSM parameters and container engines use with another meaning
RESERVED = frozenset({"latest", "none"})


def validate_version(version: str) -> str:
    """The version itself, when it can be a tag of one immutable image. Raises InvalidInput."""
    if version.lower() in RESERVED:
        raise InvalidInput(
            f"version={version!r} is a reserved word: a version names one image for ever. Choose one such as 1.0.0."
        )
    if not TAG.fullmatch(version) or ATTACHMENT.fullmatch(version):
        raise InvalidInput(
            f"version={version!r} cannot be an image tag: use 1 to 128 letters, digits, '.', '_' or '-', "
            "not starting with '.' or '-'."
        )
    return version


def attachment_tag(digest: str, kind: str) -> str:
    """The tag under which something is attached to the image of that digest (``sbom``, ``sig``)."""
    return f"{digest.replace(':', '-')}.{kind}"


def repository_of(deployment_id: str) -> str:
    """The name of the repository of that deployment. Raises InvalidInput."""
    if not DEPLOYMENT_ID.fullmatch(deployment_id):
        raise InvalidInput(
            f"deployment_id={deployment_id!r} is not usable in names: use 2 to 20 lower-case letters, digits or '-', "
            "starting with a letter."
        )
    return f"sd-inference-{deployment_id}"


@dataclasses.dataclass(frozen=True)
class ImageReference:
    """``repository[:tag][@digest]``, where the repository may start with a registry's host."""

    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """The reference that the text spells. Raises InvalidInput."""
        rest, at, digest = text.partition("@")
        head, slash, last = rest.rpartition("/")
        name, colon, tag = last.partition(":")
        return cls(head + slash + name, tag if colon else None, digest if at else None).validate()

    def validate(self) -> ImageReference:
        """The reference itself, when each part is well formed. Raises InvalidInput."""
        if not REPOSITORY.fullmatch(self.repository):
            raise InvalidInput(f"image={self}: {self.repository!r} is not the name of a repository.")
        if self.tag is not None and not TAG.fullmatch(self.tag):
            raise InvalidInput(f"image={self}: {self.tag!r} is not a tag.")
        if self.digest is not None and not DIGEST.fullmatch(self.digest):
            raise InvalidInput(f"image={self}: {self.digest!r} is not a digest; write sha256: and 64 hex digits.")
        return self

    def pinned(self, digest: str) -> ImageReference:
        """The same repository, by digest alone: what an instance runs."""
        return ImageReference(self.repository, digest=digest).validate()

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        return self.repository + tag + (f"@{self.digest}" if self.digest is not None else "")
