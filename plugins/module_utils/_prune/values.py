# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What a deployment has gathered, what of it is named by whom, and the rules of keeping. Values only."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum

from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger, Release
from ansible_collections.diffusion.fleet.plugins.module_utils._release.registry import ATTACHED, is_version


class Kind(enum.StrEnum):
    """What can be removed, in the order in which it is: whatever names something goes before what it names."""

    TEMPLATE_VERSION = "template_versions"
    IMAGE = "images"
    AMI = "amis"
    SNAPSHOT = "snapshots"
    SMOKE_QUEUE = "smoke_queues"


@dataclasses.dataclass(frozen=True)
class Rules:
    """What is kept though nothing names it."""

    keep_versions: int = 10
    """The newest image versions."""
    keep_days: int = 30
    """Images, launch template versions, machine images and snapshots younger than this."""
    keep_amis: int = 3
    """The newest machine images."""


@dataclasses.dataclass(frozen=True)
class Image:
    """A manifest in the deployment's repository."""

    digest: str
    pushed: dt.datetime
    tags: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    """Digests of the manifests that an index holds."""
    refers_to: str | None = None
    """Digest of the image that a manifest says it belongs to."""

    @property
    def versions(self) -> tuple[str, ...]:
        """The tags that are versions."""
        return tuple(tag for tag in self.tags if is_version(tag))

    @property
    def subjects(self) -> frozenset[str]:
        """Digests of the images that it is attached to: signatures, bills of materials."""
        named = {f"sha256:{found[1]}" for tag in self.tags if (found := ATTACHED.fullmatch(tag))}
        return frozenset(named | ({self.refers_to} if self.refers_to else set()))


@dataclasses.dataclass(frozen=True)
class Ami:
    """A machine image of the deployment."""

    image_id: str
    name: str
    created: dt.datetime
    snapshots: tuple[str, ...] = ()
    pending: bool = False
    """Whether it is still being made."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A snapshot that was made for a machine image of the deployment."""

    snapshot_id: str
    created: dt.datetime


@dataclasses.dataclass(frozen=True)
class TemplateVersion:
    """A version of the deployment's launch template."""

    number: str
    created: dt.datetime
    release_id: str | None = None
    """As its description says."""
    digests: frozenset[str] = frozenset()
    """Of the images that its hosts run, as its user data say."""
    version: str | None = None
    """The image version that it names by itself."""
    ami: str | None = None
    default: bool = False


@dataclasses.dataclass(frozen=True)
class Instance:
    """An instance that exists, in whatever state, whoever launched it."""

    instance_id: str
    ami: str | None = None
    template_version: str | None = None
    version: str | None = None
    """The image version of its tag."""
    release_id: str | None = None


@dataclasses.dataclass(frozen=True)
class Named:
    """What somebody or something refers to, and who."""

    why: str
    template_versions: frozenset[str] = frozenset()
    release_ids: frozenset[str] = frozenset()
    digests: frozenset[str] = frozenset()
    versions: frozenset[str] = frozenset()
    amis: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Observation:
    """Everything that a plan may depend on."""

    now: dt.datetime
    ledger: Ledger = dataclasses.field(default_factory=Ledger)
    past: tuple[Release, ...] = ()
    """What the history offers to a rollback."""
    settings: tuple[Named, ...] = ()
    """What the group, its refreshes and the parameters of the deployment name."""
    instances: tuple[Instance, ...] = ()
    template_versions: tuple[TemplateVersion, ...] = ()
    images: tuple[Image, ...] = ()
    amis: tuple[Ami, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    smoke_queues: frozenset[str] = frozenset()
    """Release ids that have one."""


@dataclasses.dataclass(frozen=True)
class Item:
    """Something that was found."""

    kind: Kind
    name: str
    """What AWS knows it by."""
    label: str
    """What people know it by."""
    why: str = ""
    """Why it stays; empty for what goes."""
    snapshots: tuple[str, ...] = ()
    """Of a machine image: those that go with it."""

    @property
    def goes(self) -> bool:
        """Whether it is removed."""
        return not self.why
