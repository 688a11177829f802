# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""A fleet without a ledger: what is stable is inferred from what runs. Values only; ``takeover`` reads the account.

Such a fleet was made by the scripts before this collection, which knew three parameters, or has lost its ledger. What
the parameters say is believed only where nothing better is known: the scripts left ``in-progress`` behind, wrote the
new version before anything ran it, and kept a bad one as the previous one.
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime as dt
import re
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._release import templates
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import (
    NONE,
    REASON_KEPT,
    REJECTED_KEPT,
    Ledger,
    Rejection,
    Release,
    release_fields,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.targets import past_releases

Record = t.Mapping[str, t.Any]
KIND = "adoption"
"""Kind of the record that a take-over leaves in the history."""
UNKNOWN = "unknown"
"""Stands for the digest of an image that is no longer in the registry."""
MARK = "adopted"
"""What the id of a release begins with whose template version is not one of this collection's."""


@dataclasses.dataclass(frozen=True)
class Host:
    """An instance in service."""

    template_version: str
    version: str | None = None
    """As its tag says."""
    release_id: str | None = None
    launched: dt.datetime | None = None


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of a fleet without a ledger."""

    projections: t.Mapping[str, str]
    saved: str
    """The template version that the group has saved, maybe ``$Latest``."""
    hosts: tuple[Host, ...]
    templates: t.Mapping[str, Record]
    """Launch template data by version number."""
    named: t.Mapping[str, str]
    """Numbers behind ``$Latest`` and ``$Default``."""
    digests: t.Mapping[str, str]
    """Digest by version, as the registry has them now."""
    written: tuple[tuple[dt.datetime, str], ...] = ()
    """When which version was written into the parameter, oldest first."""
    records: tuple[Record, ...] = ()
    """The release history, newest first."""


@dataclasses.dataclass(frozen=True)
class Adoption:
    """The ledger as inferred, and from what."""

    ledger: Ledger
    notes: tuple[str, ...]
    pin: str | None = None
    """The template version that the group must be set to first; None where it has it."""

    @property
    def line(self) -> str:
        """For people."""
        return "taking the fleet over: " + "; ".join(self.notes)

    def record(self, names: Names, by: str, at: str) -> dict[str, t.Any]:
        """For the history."""
        stable = t.cast(Release, self.ledger.stable)
        return {
            "schema": 1,
            "sequence": self.ledger.sequence,
            "kind": KIND,
            "deployment_id": names.deployment_id,
            "version": stable.version,
            "candidate": release_fields(stable),
            "from": None,
            "plan": None,
            "verdicts": [],
            "outcome": "succeeded",
            "reason": self.line,
            "started_at": at,
            "started_by": by,
            "finished_at": at,
        }


def infer(names: Names, facts: Facts) -> Adoption:
    """The ledger of what runs.

    Raises: InvalidInput when what runs could not be returned to.
    """
    version, number, sources = _what_runs(names, facts)
    _check_template(names, number, facts)
    stable = _release(names, facts, version, number)
    rejected = _rejected(facts.records, stable)
    ledger = Ledger(sequence=_sequence(facts.records), stable=stable, rejected=rejected)
    previous, about = _previous(names, facts, ledger)
    pin = None if facts.saved == number else number
    notes = [*sources, _about_digest(stable), *_about_group(facts, pin), *_about_status(facts), *about]
    return Adoption(dataclasses.replace(ledger, previous=previous), tuple(notes), pin)


# ---------------------------------------------------------------- what runs


def _what_runs(names: Names, facts: Facts) -> tuple[str, str, list[str]]:
    """(version, template version, how that is known) of most of the instances in service."""
    if not facts.hosts:
        version, number = facts.projections["image-version"], facts.named.get(facts.saved, facts.saved)
        return version, number, [f"stable is {version}, as image-version says: no instance is in service"]
    runs = [(*_version(names, facts, host), host.template_version) for host in facts.hosts]
    counts = collections.Counter((version, number) for version, _source, number in runs)
    (version, number), count = max(counts.items(), key=lambda item: (item[1], -_number(item[0][1])))
    source = next(source for own, source, where in runs if (own, where) == (version, number))
    notes = [f"stable is {version}: {count} of {len(runs)} instances in service run it ({source})"]
    del counts[version, number]
    others = [f"{many} run {other} of template version {where}" for (other, where), many in counts.items()]
    return version, number, notes + [f"{', '.join(others)}: the next release replaces them"] * bool(others)


def _number(template_version: str) -> int:
    """Of a version of another template, none."""
    return int(template_version) if template_version.isdigit() else 0


def _version(names: Names, facts: Facts, host: Host) -> tuple[str, str]:
    """(version, how that is known) of one instance."""
    if host.version:
        return host.version, "by its tags"
    written = template_version_of(names, facts.templates.get(host.template_version, {}))
    if written:
        return written, "by its launch template"
    earlier = [value for at, value in facts.written if host.launched is not None and at <= host.launched]
    if earlier:
        return earlier[-1], "what image-version said when it was launched"
    return facts.projections["image-version"], "as image-version says"


def template_version_of(names: Names, data: Record) -> str | None:
    """The version that launch template data name by themselves: in a tag, or as the image in the user data."""
    tags = [tag for row in data.get("TagSpecifications", ()) for tag in row.get("Tags", ())]
    tagged = next((str(tag["Value"]) for tag in tags if tag["Key"] == "ImageVersion"), None)
    found = re.search(rf"/{re.escape(names.group)}:([\w][\w.-]*)", decoded(data.get("UserData", "")))
    return tagged or (found.group(1) if found else None)


def decoded(user_data: str) -> str:
    """User data as their author wrote them."""
    try:
        return base64.b64decode(user_data, validate=True).decode(errors="replace")
    except ValueError:
        return user_data


def _check_template(names: Names, number: str, facts: Facts) -> None:
    if number in facts.templates:
        return
    raise InvalidInput(
        f"The fleet has no ledger and its instances run version {number} of launch template {names.group}, which does "
        "not exist: nothing could be rolled back to it. Set the group to a numbered version that exists, replace the "
        "instances (module instance_refresh), then run this again."
    )


def _release(names: Names, facts: Facts, version: str, number: str) -> Release:
    data = facts.templates[number]
    own = {host.release_id for host in facts.hosts if host.template_version == number and host.version == version}
    known = own.pop() if len(own) == 1 else None
    made = templates.release_id({"template": number, "version": version, "data": dict(data)})
    identity = known or (MARK + made)[: templates.ID_LENGTH]
    return Release(version, facts.digests.get(version, UNKNOWN), identity, number)


# ---------------------------------------------------------------- what was before


def _sequence(records: t.Sequence[Record]) -> int:
    """After the newest record; a take-over that was interrupted is done again under its own number."""
    if not records:
        return 1
    newest = records[0]
    return int(newest["sequence"]) + (newest.get("kind") != KIND)


def _rejected(records: t.Iterable[Record], stable: Release) -> tuple[Rejection, ...]:
    """What the history says went back and did not come again."""
    decided: dict[str, Rejection | None] = {stable.release_id: None}
    for record in records:
        release = record.get("candidate") or {}
        identity = release.get("release_id")
        if not identity or record.get("outcome") not in ("succeeded", "rolled_back"):
            continue
        left = record["outcome"] == "rolled_back"
        entry = Rejection(
            str(release["version"]), str(release["digest"]), str(record.get("reason") or "")[:REASON_KEPT], identity
        )
        decided.setdefault(identity, entry if left else None)
    kept = [entry for entry in decided.values() if entry is not None]
    return tuple(reversed(kept[:REJECTED_KEPT]))


def _previous(names: Names, facts: Facts, ledger: Ledger) -> tuple[Release | None, list[str]]:
    """What a rollback may return to, and why or why not."""
    stable = t.cast(Release, ledger.stable)
    for _sequence_of, release in past_releases(facts.records, ledger):
        if release.release_id != stable.release_id and release.template_version in facts.templates:
            return release, [f"previous is {release.version}, by the release history"]
    claimed = facts.projections.get("previous-version", NONE)
    if claimed in (NONE, stable.version):
        return None, [f"previous is none: previous-version says {claimed}"]
    return _claimed(names, facts, stable, claimed)


def _claimed(names: Names, facts: Facts, stable: Release, claimed: str) -> tuple[Release | None, list[str]]:
    """The parameter's previous version: only with its image and a template version that carries it."""
    carrying = [
        number
        for number, data in facts.templates.items()
        if number != stable.template_version and template_version_of(names, data) == claimed
    ]
    image = facts.digests.get(claimed)
    if image and carrying:
        number = max(carrying, key=int)
        return _release(names, facts, claimed, number), [
            f"previous is {claimed}: its image and template version {number} exist"
        ]
    why = "its image is not in the registry" if not image else "no launch template version carries it"
    help_ = f"; deploy.yml -e version={claimed} releases it like any other" if image else ""
    return None, [f"previous is none: previous-version says {claimed}, but {why}{help_}"]


# ---------------------------------------------------------------- what else was found


def _about_digest(stable: Release) -> str:
    if stable.digest == UNKNOWN:
        return f"the image of {stable.version} is not in the registry: new instances of it cannot start"
    return f"its image is {stable.digest[:19]}…, as the registry has that tag now"


def _about_group(facts: Facts, pin: str | None) -> list[str]:
    return [f"the group's template is set from {facts.saved} to {pin}, which these instances run"] if pin else []


def _about_status(facts: Facts) -> list[str]:
    status = facts.projections.get("deployment-status", "stable")
    if status == "stable":
        return []
    return [f"deployment-status {status} is a leftover: no instance refresh is active"]
