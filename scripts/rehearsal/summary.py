# SPDX-License-Identifier: GPL-3.0-or-later
"""The account of the whole demo: checks, summary.json and the table."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from . import checks, gallery
from .account import Account
from .checks import Check
from .phases import Phases
from .stage import OUT


@dataclasses.dataclass
class Story:
    """What the demo did and saw, gathered on the way."""

    sent: list[str] = dataclasses.field(default_factory=list)
    digits: dict[str, int] = dataclasses.field(default_factory=dict)
    checks: list[Check] = dataclasses.field(default_factory=list)
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    reads_digits: bool = True
    """Whether the pictures are of the digits that were asked for."""


def summarise(story: Story, account: Account, timeline: list[dict[str, t.Any]], phases: Phases) -> dict[str, t.Any]:
    """Count everything, write the summary and print the table; the summary."""
    history = account.history()
    results, jobs = drop_smoke(account.results(), account.jobs())
    requests = checks.count_requests(story.sent, results, account.result_writes(), jobs)
    pictures = gallery.collect(
        account, {name: results[name] for name in story.sent if name in results}, OUT / "pictures"
    )
    tally = gallery.read_digits(pictures, story.digits) if story.reads_digits else {}
    samples = checks.in_service(entry for entry in timeline if entry["group"] == account.group)
    capacities = checks.capacities(history, samples)
    found = [
        *story.checks,
        checks.request_check(requests),
        *gallery.picture_checks(len(story.sent), len(pictures), tally),
        checks.equal_check("messages in the dead letter queue", account.dead_letters(), 0),
        *map(checks.capacity_check, capacities),
    ]
    document = {
        "ok": all(check.ok for check in found),
        "checks": [dataclasses.asdict(check) for check in found],
        "versions": story.versions,
        "releases": history,
        "instances_over_time": checks.over_time(samples),
        "capacity": [dataclasses.asdict(capacity) for capacity in capacities],
        "requests": requests_document(requests),
        "pictures": {"readable": len(pictures), **tally},
        "seconds": {**phases.seconds, "total": phases.total()},
    }
    (OUT / "summary.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return document


def drop_smoke(
    results: t.Mapping[str, dict[str, t.Any]], jobs: t.Sequence[dict[str, t.Any]]
) -> tuple[dict[str, dict[str, t.Any]], list[dict[str, t.Any]]]:
    """Results and jobs without those of smoke requests, which a release sends itself."""
    kept = {name: one for name, one in results.items() if one.get("context") != {"smoke": True}}
    return kept, [job for job in jobs if not job.get("smoke")]


def requests_document(requests: checks.Requests) -> dict[str, t.Any]:
    """The counts of requests."""
    return {
        "sent": requests.accepted,
        "succeeded": requests.succeeded,
        "failed": len(requests.failed),
        "unanswered": len(requests.unanswered),
        "unknown_results": list(requests.unknown),
        "written_more_than_once": len(requests.rewritten),
        "drawn_twice": len(requests.drawn_twice),
    }


def table(summary: t.Mapping[str, t.Any]) -> str:
    """The summary for a terminal."""
    rows = [("time per phase", "")]
    rows += [(f"  {name}", f"{seconds:7.1f} s") for name, seconds in summary["seconds"].items()]
    rows += [("releases", "")]
    rows += [(f"  {_release_name(one)}", str(one["outcome"])) for one in summary["releases"]]
    rows += [("requests", "")]
    rows += [(f"  {name.replace('_', ' ')}", str(count)) for name, count in summary["requests"].items()]
    rows += [("checks", "")]
    rows += [(f"  {'ok  ' if one['ok'] else 'FAIL'} {one['name']}", one["detail"]) for one in summary["checks"]]
    width = max(len(name) for name, _value in rows) + 2
    return "\n".join(f"{name:<{width}}{value}".rstrip() for name, value in rows)


def _release_name(release: t.Mapping[str, t.Any]) -> str:
    return f"{release['sequence']} {release['kind']} {release['version']}"
