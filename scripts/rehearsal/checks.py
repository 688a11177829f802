# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo claims, computed from what was seen. Values in, values out."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import typing as t

Entry = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Check:
    """One claim, and whether it held."""

    name: str
    ok: bool
    detail: str


@dataclasses.dataclass(frozen=True)
class Sample:
    """The instances in service from one moment on, by image version."""

    time: dt.datetime
    versions: t.Mapping[str, int]

    @property
    def total(self) -> int:
        """All instances in service."""
        return sum(self.versions.values())


@dataclasses.dataclass(frozen=True)
class Capacity:
    """The floor that a release planned, and the least that was in service while it ran."""

    sequence: int
    version: str
    floor: int | None
    lowest: int

    @property
    def ok(self) -> bool:
        """Whether the floor is known and held."""
        return self.floor is not None and self.lowest >= self.floor


def moment(text: str) -> dt.datetime:
    """The time that an ISO text names, in UTC where it names no zone."""
    time = dt.datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)


def in_service(timeline: t.Iterable[Entry]) -> list[Sample]:
    """How many instances were in service from when on; a sample a change."""
    serving: dict[str, str] = {}
    samples: list[Sample] = []
    for entry in timeline:
        if not entry.get("instance"):
            continue
        _follow(serving, entry)
        now = dict(sorted(collections.Counter(serving.values()).items()))
        if not samples or samples[-1].versions != now:
            samples.append(Sample(moment(entry["time"]), now))
    return samples


def _follow(serving: dict[str, str], entry: Entry) -> None:
    healthy = str(entry.get("health") or "Healthy").lower() == "healthy"
    if entry.get("lifecycle") == "InService" and healthy and entry["event"] != "terminated":
        serving[entry["instance"]] = str(entry.get("image_version") or "none")
    else:
        serving.pop(entry["instance"], None)


def lowest(samples: t.Sequence[Sample], start: dt.datetime, end: dt.datetime) -> int:
    """The least in service between the two moments, what was there at the start included."""
    before = [sample.total for sample in samples if sample.time <= start]
    during = [sample.total for sample in samples if start < sample.time <= end]
    return min([before[-1] if before else 0, *during])


def capacities(history: t.Iterable[Entry], samples: t.Sequence[Sample]) -> list[Capacity]:
    """Floor and lowest capacity of each release of the history."""
    return [
        Capacity(
            int(release["sequence"]), str(release["version"]), floor_of(release, samples), _lowest(release, samples)
        )
        for release in history
    ]


def floor_of(release: Entry, samples: t.Sequence[Sample]) -> int | None:
    """What the release promised to keep in service; None where nothing tells."""
    if release.get("from") is None:
        return 0  # the first release of an empty group: there was nothing to keep
    if release["kind"] == "rollback":
        start = moment(release["started_at"])
        return lowest(samples, start, start)  # it has no plan of its own: nothing of what serves may be lost
    return (release.get("plan") or {}).get("floor")


def _lowest(release: Entry, samples: t.Sequence[Sample]) -> int:
    end = moment(release["finished_at"]) if release.get("finished_at") else dt.datetime.max.replace(tzinfo=dt.UTC)
    return lowest(samples, moment(release["started_at"]), end)


@dataclasses.dataclass(frozen=True)
class Requests:
    """What became of the requests that the queue accepted."""

    accepted: int
    succeeded: int
    failed: tuple[str, ...]
    unanswered: tuple[str, ...]
    unknown: tuple[str, ...]
    rewritten: tuple[str, ...]
    drawn_twice: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether each has exactly one result, a success, and nothing else has one."""
        return self.succeeded == self.accepted and not (self.unanswered or self.unknown or self.rewritten)


def count_requests(
    accepted: t.Collection[str], results: t.Mapping[str, Entry], writes: t.Mapping[str, int], jobs: t.Iterable[Entry]
) -> Requests:
    """The count. ``writes``: how many results were written under each id; ``jobs``: the workers' job log lines."""
    asked = set(accepted)
    mine = {request_id: result for request_id, result in results.items() if request_id in asked}
    failed = {request_id for request_id, result in mine.items() if result["status"] != "succeeded"}
    drawn = collections.Counter(job["request_id"] for job in jobs if job["outcome"] == "succeeded")
    return Requests(
        accepted=len(accepted),
        succeeded=len(mine) - len(failed),
        failed=tuple(sorted(failed)),
        unanswered=tuple(sorted(asked - mine.keys())),
        unknown=tuple(sorted(results.keys() - asked)),
        rewritten=tuple(sorted(request_id for request_id in mine if writes.get(request_id, 1) != 1)),
        drawn_twice=tuple(sorted(request_id for request_id in asked if drawn[request_id] > 1)),
    )


def request_check(requests: Requests) -> Check:
    """Every accepted request has exactly one result, a success."""
    troubles = {
        name: getattr(requests, name)
        for name in ("failed", "unanswered", "unknown", "rewritten")
        if getattr(requests, name)
    }
    detail = f"{requests.succeeded} of {requests.accepted} succeeded"
    if troubles:
        detail += "; " + "; ".join(f"{name}: {', '.join(ids[:3])} ({len(ids)})" for name, ids in troubles.items())
    return Check("one result for each request, a success", requests.ok, detail)


def capacity_check(capacity: Capacity) -> Check:
    """The capacity in service during one release stayed at its plan's floor or above."""
    floor = "no floor recorded" if capacity.floor is None else f"floor {capacity.floor}"
    name = f"capacity during release {capacity.sequence} ({capacity.version})"
    return Check(name, capacity.ok, f"{floor}, lowest {capacity.lowest}")


def equal_check(name: str, found: t.Any, expected: t.Any) -> Check:
    """A value is what it should be."""
    return Check(name, found == expected, f"{found}" if found == expected else f"{found}, not {expected}")


def over_time(samples: t.Sequence[Sample]) -> list[dict[str, t.Any]]:
    """The samples as the summary keeps them."""
    return [{"time": s.time.isoformat(), "total": s.total, "versions": dict(s.versions)} for s in samples]
