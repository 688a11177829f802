# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The ledger: what is stable, what is being tried, what was rejected. Values and their JSON, no AWS."""

from __future__ import annotations

import dataclasses
import enum
import json
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger_check import problem

SCHEMA = 1
REJECTED_KEPT = 10
REASON_KEPT = 120
"""Characters of a rejection's reason kept in the ledger; the history has all of it."""
REASON_BYTES = 300
MAX_BYTES = 3072
NONE = "none"


class Status(enum.StrEnum):
    """State of the deployment, as the plain parameter spells it."""

    STABLE = "stable"
    IN_PROGRESS = "in-progress"
    ROLLING_BACK = "rolling-back"


@dataclasses.dataclass(frozen=True)
class Release:
    """An image in a whole host configuration."""

    version: str
    digest: str
    release_id: str
    template_version: str | None = None
    """Number of the launch template version; None until it exists."""
    since: str | None = None
    """When it became stable, ISO 8601."""


def release_fields(release: Release | None) -> dict[str, t.Any] | None:
    """A release as results, events and the history have it."""
    return dataclasses.asdict(release) if release else None


@dataclasses.dataclass(frozen=True)
class Rejection:
    """A release that was tried and sent back, or left by hand."""

    version: str
    digest: str
    reason: str
    release_id: str = ""


@dataclasses.dataclass(frozen=True)
class Ledger:
    """The one record that decides; the three plain parameters are projections of it."""

    sequence: int = 0
    epoch: int = 0
    status: Status = Status.STABLE
    stable: Release | None = None
    previous: Release | None = None
    candidate: Release | None = None
    rejected: tuple[Rejection, ...] = ()
    refresh_id: str | None = None
    step: int = 0
    """How many steps of the open release have passed."""
    step_reached_at: str | None = None
    paused: str | None = None
    """Why and since when the open release is paused; with a step reached, that step has no verdict yet."""
    held: bool = False
    """Whether this release has suspended scaling by alarms."""
    ending: str | None = None
    """How a release came back, until the run that closed it has reported that."""
    started_at: str | None = None
    started_by: str | None = None
    reason: str | None = None
    replayed: int = 0
    """How many requests that the rejected release failed were sent again in this rollback."""
    passed_over: int = 0
    """How many of the last rejections are of releases that this rollback leads past."""

    @property
    def is_open(self) -> bool:
        """Whether a release or a rollback is under way."""
        return self.status is not Status.STABLE

    @property
    def stable_template(self) -> str | None:
        """The template version that stable instances are launched from; None before the first release."""
        return self.stable.template_version if self.stable else None

    def is_rejected(self, digest: str) -> bool:
        """Whether that image was rejected; the one that is stable was not, whatever host settings were."""
        stable = self.stable is not None and self.stable.digest == digest
        return not stable and any(item.digest == digest for item in self.rejected)

    def refuses(self, release_id: str) -> bool:
        """Whether that image on those host settings was rejected."""
        return any(item.release_id == release_id for item in self.rejected)

    def projections(self) -> dict[str, str]:
        """What the plain parameters should say."""
        return {
            "image-version": self.stable.version if self.stable else NONE,
            "previous-version": self.previous.version if self.previous else NONE,
            "deployment-status": self.status.value,
        }

    def as_dict(self) -> dict[str, t.Any]:
        """For the results of modules."""
        return dataclasses.asdict(self) | {"status": self.status.value}

    def to_json(self) -> str:
        """Compact JSON, to fit a standard parameter: the oldest rejections lose their reasons, then give way."""
        record = {"schema": SCHEMA, **dataclasses.asdict(self), **self._texts()}
        for item in record["rejected"]:
            if len(_dump(record).encode()) > MAX_BYTES:
                item["reason"] = ""
        while len(_dump(record).encode()) > MAX_BYTES and record["rejected"]:
            record["rejected"] = record["rejected"][1:]
        return _dump(record)

    def _texts(self) -> dict[str, str | None]:
        return {name: _short(getattr(self, name), REASON_BYTES) for name in ("reason", "paused", "ending")}


def _dump(record: t.Mapping[str, t.Any]) -> str:
    return json.dumps(record, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def _short(text: str | None, limit: int) -> str | None:
    """At most that many bytes of UTF-8."""
    return text.encode()[:limit].decode(errors="ignore") if text else text


def parse_ledger(text: str) -> Ledger:
    """Read the record.

    Raises: InvalidInput when it was edited into something else, or written by a later version.
    """
    try:
        record = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"The ledger cannot be read: it is not JSON ({error}).") from error
    wrong = problem(record, FIELDS, [status.value for status in Status], RELEASE_FIELDS, schema=SCHEMA)
    if wrong:
        raise InvalidInput(f"The ledger cannot be used: {wrong}.")
    del record["schema"]
    try:
        record["rejected"] = tuple(Rejection(**item) for item in record.get("rejected", ()))
    except TypeError as error:
        raise InvalidInput(f"The ledger cannot be used: rejected={record['rejected']!r} ({error}).") from error
    for role in ("stable", "previous", "candidate"):
        record[role] = Release(**record[role]) if record.get(role) else None
    record["status"] = Status(record["status"])
    record["epoch"] = record.get("epoch") or 0
    return Ledger(**record)


FIELDS = frozenset(field.name for field in dataclasses.fields(Ledger))
RELEASE_FIELDS = frozenset(field.name for field in dataclasses.fields(Release))


def begun(
    ledger: Ledger, candidate: Release, *, epoch: int, at: str, by: str, template_version: str | None = None
) -> Ledger:
    """A new release is opened."""
    return dataclasses.replace(
        ledger,
        sequence=ledger.sequence + 1,
        epoch=epoch,
        status=Status.IN_PROGRESS,
        candidate=dataclasses.replace(candidate, template_version=template_version),
        rejected=tuple(
            item
            for item in ledger.rejected
            if candidate.digest != item.digest and candidate.release_id != item.release_id
        ),
        refresh_id=None,
        step=0,
        step_reached_at=None,
        paused=None,
        ending=None,
        started_at=at,
        started_by=by,
        reason=None,
        replayed=0,
        passed_over=0,
    )


def paused(ledger: Ledger, *, why: str, at: str) -> Ledger:
    """The open release is paused where it stands; a step that has been reached still waits for its verdict."""
    return dataclasses.replace(ledger, paused=f"{why[:REASON_KEPT]}, since {at}")


def passed(ledger: Ledger, step: int, *, refreshing: bool) -> Ledger:
    """That many steps have passed and nothing is paused; the refresh goes on, or another has to."""
    return dataclasses.replace(
        ledger,
        step=step,
        step_reached_at=None,
        paused=None,
        refresh_id=ledger.refresh_id if refreshing else None,
    )


def retreating(ledger: Ledger, *, epoch: int, reason: str, ran: bool) -> Ledger:
    """The open release is given up; a candidate that never ran has not been judged and is not rejected."""
    return dataclasses.replace(
        ledger,
        epoch=epoch,
        status=Status.ROLLING_BACK,
        candidate=ledger.candidate if ran else None,
        reason=reason,
        replayed=0,
        refresh_id=None,
        step_reached_at=None,
        paused=None,
    )


def passing_over(ledger: Ledger, target: Release, before: Release | None) -> Ledger:
    """The way back leads past the stable release to an earlier one: what is passed over is rejected as well."""
    over = t.cast(Release, ledger.stable)  # a history to choose from begins with a first stable release
    others = (item for item in ledger.rejected if item.release_id != over.release_id)
    entry = Rejection(over.version, over.digest, f"passed over for {target.version}", over.release_id)
    return dataclasses.replace(
        ledger,
        stable=target,
        previous=before,
        rejected=(*others, entry)[-REJECTED_KEPT:],
        passed_over=ledger.passed_over + 1,
    )


def left_behind(ledger: Ledger) -> tuple[Release | Rejection, ...]:
    """The releases that the rollback under way leaves: the candidate, and what it leads past."""
    stable, last = ledger.stable.release_id if ledger.stable else None, len(ledger.rejected) - ledger.passed_over
    left = (ledger.candidate, *ledger.rejected[last:])
    return tuple(release for release in left if release is not None and release.release_id not in ("", stable))


def left_by_hand(
    ledger: Ledger, target: Release, before: Release | None, *, epoch: int, at: str, by: str, reason: str
) -> Ledger:
    """With nothing open, the stable release is left for ``target``; ``before`` is the stable one before that."""
    return dataclasses.replace(
        ledger,
        sequence=ledger.sequence + 1,
        epoch=epoch,
        status=Status.ROLLING_BACK,
        stable=target,
        previous=before,
        candidate=ledger.stable,
        refresh_id=None,
        step=0,
        step_reached_at=None,
        ending=None,
        started_at=at,
        started_by=by,
        reason=reason,
        replayed=0,
        passed_over=0,
    )


def succeeded(ledger: Ledger, *, at: str) -> Ledger:
    """The candidate has passed every step and is stable now."""
    stable = dataclasses.replace(t.cast(Release, ledger.candidate), since=at)
    again = ledger.stable is not None and ledger.stable.release_id == stable.release_id
    return _closed(ledger, stable=stable, previous=ledger.previous if again else ledger.stable)


def returned(ledger: Ledger, ending: str | None = None) -> Ledger:
    """Everything runs the stable release again; the candidate is rejected, and the end is still to be reported."""
    rejected = ledger.rejected
    left = ledger.candidate
    if left is not None and (ledger.stable is None or left.release_id != ledger.stable.release_id):
        entry = Rejection(left.version, left.digest, (ledger.reason or "")[:REASON_KEPT], left.release_id)
        rejected = (*(item for item in rejected if item.release_id != left.release_id), entry)[-REJECTED_KEPT:]
    previous = ledger.previous
    if previous is not None and any(item.release_id == previous.release_id for item in rejected):
        previous = None
    return _closed(ledger, rejected=rejected, previous=previous, ending=ending)


def _closed(ledger: Ledger, **changes: t.Any) -> Ledger:
    return dataclasses.replace(
        ledger,
        status=Status.STABLE,
        candidate=None,
        refresh_id=None,
        step=0,
        step_reached_at=None,
        replayed=0,
        passed_over=0,
        paused=None,
        **changes,
    )
