# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Removes what a plan names, kind by kind. What AWS keeps is noted, and keeps nothing else from going."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws
from ansible_collections.diffusion.fleet.plugins.module_utils._prune import machine_images, registry
from ansible_collections.diffusion.fleet.plugins.module_utils._prune.values import Item, Kind
from ansible_collections.diffusion.fleet.plugins.module_utils._release import smoke, templates
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names

BATCHES: t.Mapping[Kind, int] = {
    Kind.TEMPLATE_VERSION: 200,  # EC2 DeleteLaunchTemplateVersions API reference
    Kind.IMAGE: registry.BATCH,
}
"""How many are removed in one call."""
IN_USE = "another machine image uses it"


class Remover:
    """Everything is safe to repeat: what is gone already is no error."""

    def __init__(self, aws: Aws, names: Names, prove: t.Callable[[], None]) -> None:
        self._aws = aws
        self._names = names
        self._prove = prove
        """Called before each change; raises where it must not be made."""
        self.removed: list[Item] = []
        self.notes: list[str] = []

    def remove(self, going: t.Iterable[Item]) -> None:
        """Remove it, in the order given.

        Raises: the errors of the calls, and of the proof.
        """
        for kind, group in itertools.groupby(going, key=lambda item: item.kind):
            items, size = list(group), BATCHES.get(kind, 1)
            for start in range(0, len(items), size):
                self._prove()
                self._batch(kind, items[start : start + size])

    def _batch(self, kind: Kind, batch: t.Sequence[Item]) -> None:
        method: t.Callable[[t.Sequence[Item]], dict[str, str]] = getattr(self, f"_{kind.value}")
        kept = method(batch)
        self.notes += kept.values()
        self.removed += [item for item in batch if item.name not in kept]

    # ------------------------------------------------------------ each kind: what AWS has kept, and why, by name

    def _template_versions(self, batch: t.Sequence[Item]) -> dict[str, str]:
        kept = templates.delete_versions(self._aws.client("ec2"), self._names, [item.name for item in batch])
        reasons = {str(row["VersionNumber"]): row["ResponseError"].get("Message", "") for row in kept}
        return {number: f"template version {number} stays: {reason}" for number, reason in reasons.items()}

    def _images(self, batch: t.Sequence[Item]) -> dict[str, str]:
        return registry.delete_images(self._aws.client("ecr"), self._names.group, [item.name for item in batch])

    def _amis(self, batch: t.Sequence[Item]) -> dict[str, str]:
        """The machine image before its snapshots, which it holds; snapshots that stay behind are found again."""
        ec2, snapshots = self._aws.client("ec2"), [snapshot for item in batch for snapshot in item.snapshots]
        for item in batch:
            machine_images.remove_ami(ec2, item.name)
        kept = [name for name in snapshots if not machine_images.remove_snapshot(ec2, name)]
        return {name: f"snapshot {name} stays: {IN_USE}" for name in kept}

    def _snapshots(self, batch: t.Sequence[Item]) -> dict[str, str]:
        ec2 = self._aws.client("ec2")
        kept = [item for item in batch if not machine_images.remove_snapshot(ec2, item.name)]
        return {item.name: f"{item.label} stays: {IN_USE}" for item in kept}

    def _smoke_queues(self, batch: t.Sequence[Item]) -> dict[str, str]:
        sqs = self._aws.client("sqs")
        urls = smoke.find_queues(sqs, self._names)
        for url in (urls[item.name] for item in batch if item.name in urls):
            smoke.delete_queue(sqs, url)
        return {}
