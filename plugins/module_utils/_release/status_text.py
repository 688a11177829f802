# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What ``release_info`` tells people: the state of a deployment as a tree of lines. Pure."""

from __future__ import annotations

import typing as t

Record = t.Mapping[str, t.Any]
NOBODY = "none"


def status_lines(status: Record) -> list[str]:
    """The state, for people."""
    releases = [f"  {role:9} {_label(status[role])}" for role in ("stable", "previous", "candidate")]
    rejected = [f"  rejected  {item['version']}: {item['reason']}" for item in status["rejected"]]
    rows = [_step_line(row) for row in status["steps"]]
    instances = [_instances_line(row) for row in status["instances"]]
    past = [line for record in status["history"] for line in _record_lines(record)]
    inferred = [f"  inferred  {note}" for note in status["inferred"]]
    tree = [*inferred, *releases, *rejected, *_under_way(status), *rows, *instances, f"  next      {status['next']}"]
    return [_head(status), *tree, *past]


def _head(status: Record) -> str:
    head, now = f"{status['deployment_id']}: {status['status']}", status["open"]
    if now is None:
        return head
    paused = ", paused" if now["paused"] else ""
    return f"{head}{paused} (#{now['sequence']} {now['kind']} for {_duration(now['seconds'])}, by {now['started_by']})"


def _duration(seconds: int | None) -> str:
    """Two units at most."""
    if seconds is None:
        return "an unknown time"
    for size, unit, rest, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            return f"{seconds // size} {unit} {seconds % size // rest} {small}"
    return f"{seconds} s"


def _label(release: Record | None) -> str:
    if not release:
        return NOBODY
    since = f", since {release['since']}" if release.get("since") else ""
    return f"{release['version']} (release {release['release_id']}, template {release['template_version']}{since})"


def _under_way(status: Record) -> list[str]:
    lock, refresh = status["lock"], status["refresh"]
    lines = []
    if lock:
        age = _duration(lock["age_seconds"])
        lines.append(f"  lock      {lock['owner']}@{lock['host']}, renewed {lock['renewed_at']} ({age} ago)")
    if refresh:
        lines.append(f"  refresh   {refresh['status']} {refresh['percentage']} % {refresh['reason']}".rstrip())
    return lines


def _step_line(row: Record) -> str:
    if row["state"] == "skipped":
        return f"  step -    {row['percentage']:3} %: skipped, the group is too small for it"
    counted = f", actual {row['actual']}" if row["actual"] is not None else ""
    verdict = f": {row['verdict']['sentence']}" if row["verdict"] else ""
    place = f"  step {row['number']:<4} {row['percentage']:3} %: planned {row['planned']}{counted}"
    return f"{place}: {row['state']}{verdict}"


def _instances_line(row: Record) -> str:
    version = row["version"] or "another template"
    counted = f"{row['in_service']} of {row['total']} in service"
    return (
        f"  instances {counted}: {version} (template {row['template_version']}, {row['percentage']} % of the service)"
    )


def _record_lines(record: Record) -> list[str]:
    took = f" in {_duration(record['seconds'])}" if record["seconds"] is not None else ""
    head = (
        f"  #{record['sequence']} {record.get('kind')} {record.get('version')}: {record.get('outcome')}{took}, "
        f"{record.get('started_at')} by {record.get('started_by')}"
    )
    verdicts = [_verdict_line(row) for row in record.get("verdicts", ())]
    return [head, *verdicts, *([f"      {record['reason']}"] if record.get("reason") else [])]


def _verdict_line(row: Record) -> str:
    counted = f", planned {row['instances']}, actual {row['actual']}" if "actual" in row else ""
    return f"      step {row['step']} ({row['percentage']} %{counted}): {row['verdict']}: {row['sentence']}"
