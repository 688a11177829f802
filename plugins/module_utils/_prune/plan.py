# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What goes and what stays, and why. Pure.

Everything begins with who names what. Template versions are looked at first, since one that stays names an image and a
machine image in its turn; an image that stays keeps what is inside it and what is attached to it.
"""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._prune.values import (
    Ami,
    Image,
    Item,
    Kind,
    Named,
    Observation,
    Rules,
    TemplateVersion,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Release
from ansible_collections.diffusion.fleet.plugins.module_utils._release.registry import MOVING_TAG

GRACE_DAYS = 1
"""What bears no version may be part of something that is being made at this moment: never removed on its first day."""


def make_plan(seen: Observation, rules: Rules) -> tuple[Item, ...]:
    """Everything that was found, each with the reason why it stays, or none."""
    named = (*_of_releases(seen), *_of_instances(seen), *seen.settings)
    versions = _template_versions(seen, rules, named)
    named = (*named, *_of_template_versions(seen, versions))
    amis = _amis(seen, rules, named)
    return (*versions, *_images(seen, rules, named), *amis, *_snapshots(seen, rules), *_smoke_queues(seen, named))


# ---------------------------------------------------------------- who names what


def _of_releases(seen: Observation) -> list[Named]:
    ledger = seen.ledger
    roles = [("stable", ledger.stable), ("previous", ledger.previous), ("candidate", ledger.candidate)]
    roles += [("rollback.yml -e to_version offers it", release) for release in seen.past]
    return [_of_release(why, release) for why, release in roles if release is not None]


def _of_release(why: str, release: Release) -> Named:
    return Named(
        why,
        template_versions=_set(release.template_version),
        release_ids=_set(release.release_id),
        digests=_set(release.digest),
        versions=_set(release.version),
    )


def _of_instances(seen: Observation) -> list[Named]:
    return [
        Named(
            f"instance {row.instance_id} exists",
            template_versions=_set(row.template_version),
            release_ids=_set(row.release_id),
            versions=_set(row.version),
            amis=_set(row.ami),
        )
        for row in seen.instances
    ]


def _of_template_versions(seen: Observation, items: t.Sequence[Item]) -> list[Named]:
    stay = {item.name for item in items if not item.goes}
    return [
        Named(
            f"template version {row.number} runs it",
            digests=row.digests,
            versions=_set(row.version),
            amis=_set(row.ami),
        )
        for row in seen.template_versions
        if row.number in stay
    ]


def _set(value: str | None) -> frozenset[str]:
    return frozenset([value] if value else [])


# ---------------------------------------------------------------- template versions


def _template_versions(seen: Observation, rules: Rules, named: t.Sequence[Named]) -> list[Item]:
    return [
        Item(Kind.TEMPLATE_VERSION, row.number, _template_label(row), _why_template(seen, rules, named, row))
        for row in seen.template_versions
    ]


def _template_label(row: TemplateVersion) -> str:
    return f"template version {row.number}" + (f" (release {row.release_id})" if row.release_id else "")


def _why_template(seen: Observation, rules: Rules, named: t.Sequence[Named], row: TemplateVersion) -> str:
    why = _who(named, lambda by: row.number in by.template_versions or row.release_id in by.release_ids)
    if not why and row.default:
        return "default version of the template"
    return why or _rule(seen, row.created, rules.keep_days, False)


# ---------------------------------------------------------------- images


def _images(seen: Observation, rules: Rules, named: t.Sequence[Named]) -> list[Item]:
    why = {row.digest: _why_image(seen, rules, named, row) for row in seen.images}
    while True:
        inherited = {row.digest: _inherited(seen, row, why) for row in seen.images if not why[row.digest]}
        if not any(inherited.values()):
            whole_first = sorted(seen.images, key=lambda row: not row.children)  # the registry keeps parts of a whole
            return [Item(Kind.IMAGE, row.digest, _image_label(row), why[row.digest]) for row in whole_first]
        why |= inherited


def _why_image(seen: Observation, rules: Rules, named: t.Sequence[Named], row: Image) -> str:
    why = _who(named, lambda by: row.digest in by.digests or any(version in by.versions for version in row.versions))
    if not why and row is _next(seen):
        return "deploy.yml without a version would release it"
    if not why and MOVING_TAG in row.tags:
        return f"tagged {MOVING_TAG}, which hosts of older scripts run"
    if not row.versions:
        return why or _rule(seen, row.pushed, max(rules.keep_days, GRACE_DAYS), False)
    return why or _rule(seen, row.pushed, rules.keep_days, row in _newest(seen)[: rules.keep_versions])


def _newest(seen: Observation) -> list[Image]:
    """The images that are versions, newest first."""
    return sorted((row for row in seen.images if row.versions), key=lambda row: (row.pushed, row.digest), reverse=True)


def _next(seen: Observation) -> Image | None:
    return next((row for row in _newest(seen) if not seen.ledger.is_rejected(row.digest)), None)


def _inherited(seen: Observation, row: Image, why: t.Mapping[str, str]) -> str:
    """Whether it is inside an index that stays, or attached to an image that does."""
    whole = next((other for other in seen.images if why[other.digest] and row.digest in other.children), None)
    if whole is not None:
        return f"part of {_image_label(whole)}"
    subject = next((other for other in seen.images if why[other.digest] and other.digest in row.subjects), None)
    return f"attached to {_image_label(subject)}" if subject is not None else ""


def _image_label(row: Image) -> str:
    return f"image {', '.join(row.tags) or row.digest}"


# ---------------------------------------------------------------- machine images, snapshots, queues


def _amis(seen: Observation, rules: Rules, named: t.Sequence[Named]) -> list[Item]:
    ready = [row for row in seen.amis if not row.pending]
    newest = sorted(ready, key=lambda row: (row.created, row.image_id), reverse=True)[: rules.keep_amis]
    why = {row.image_id: _why_ami(seen, rules, named, row, newest) for row in seen.amis}
    shared = {snapshot for row in seen.amis if why[row.image_id] for snapshot in row.snapshots}
    return [
        Item(
            Kind.AMI,
            row.image_id,
            f"machine image {row.image_id} ({row.name})",
            why[row.image_id],
            tuple(snapshot for snapshot in row.snapshots if snapshot not in shared),
        )
        for row in seen.amis
    ]


def _why_ami(seen: Observation, rules: Rules, named: t.Sequence[Named], row: Ami, newest: t.Sequence[Ami]) -> str:
    why = _who(named, lambda by: row.image_id in by.amis)
    if not why and row.pending:
        return "being made"
    return why or _rule(seen, row.created, rules.keep_days, row in newest)


def _snapshots(seen: Observation, rules: Rules) -> list[Item]:
    """Those whose machine image is gone; the others go or stay with theirs."""
    used = {snapshot for row in seen.amis for snapshot in row.snapshots}
    days = max(rules.keep_days, GRACE_DAYS)
    return [
        Item(Kind.SNAPSHOT, row.snapshot_id, f"snapshot {row.snapshot_id}", _rule(seen, row.created, days, False))
        for row in seen.snapshots
        if row.snapshot_id not in used
    ]


def _smoke_queues(seen: Observation, named: t.Sequence[Named]) -> list[Item]:
    return [_smoke_queue(release_id, named) for release_id in sorted(seen.smoke_queues)]


def _smoke_queue(release_id: str, named: t.Sequence[Named]) -> Item:
    why = _who(named, lambda by: release_id in by.release_ids)
    return Item(Kind.SMOKE_QUEUE, release_id, f"smoke queue of release {release_id}", why)


# ---------------------------------------------------------------- rules


def _who(named: t.Sequence[Named], names_it: t.Callable[[Named], bool]) -> str:
    return next((by.why for by in named if names_it(by)), "")


def _rule(seen: Observation, created: dt.datetime, days: int, newest: bool) -> str:
    """Why it stays though nobody names it."""
    if newest:
        return "among the newest"
    young = days > 0 and seen.now - created < dt.timedelta(days=days)
    return f"younger than {days} days" if young else ""


def removals(items: t.Iterable[Item]) -> list[Item]:
    """What goes, in the order in which it is removed: what names something before what it names."""
    order = list(Kind)
    return sorted((item for item in items if item.goes), key=lambda item: order.index(item.kind))


def diff(items: t.Sequence[Item], gone: t.Collection[str]) -> dict[str, str]:
    """What is there before and after, a line each."""
    before = "".join(f"{item.label}\n" for item in items)
    return {"before": before, "after": "".join(f"{item.label}\n" for item in items if item.name not in gone)}


def summary(items: t.Sequence[Item]) -> dict[str, list[dict[str, str]]]:
    """What stays, by kind, with the reason."""
    stays = [item for item in items if not item.goes]
    return {kind.value: [_row(item) for item in stays if item.kind is kind] for kind in Kind}


def _row(item: Item) -> dict[str, str]:
    return {"name": item.name, "label": item.label, "why": item.why}
