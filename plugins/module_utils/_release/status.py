# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What ``release_info`` answers: values for machines, lines for people."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import NotFound
from ansible_collections.diffusion.fleet.plugins.module_utils._release import fleet, history, store
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger, Release
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names, check_deployment_id
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import Group, Lock, Refresh

NOBODY = "none"


def read_status(aws: Aws, deployment_id: str, past: int) -> dict[str, t.Any]:
    """The state of the deployment.

    Raises: NotFound when it is not provisioned.
    """
    names = Names(check_deployment_id(deployment_id))
    autoscaling = aws.client("autoscaling")
    group = fleet.read_group(autoscaling, names)
    parameters = store.read_parameters(aws.client("ssm"), names)
    if not parameters.provisioned:
        raise NotFound(f"Parameter {names.host} is missing: run provision.yml -e deployment_id={deployment_id}.")
    records = history.newest(aws.client("s3"), names.bucket(group.account_id), past) if past > 0 else []
    ledger = parameters.ledger
    status = {
        "deployment_id": deployment_id,
        "status": ledger.status.value,
        **{role: _release(getattr(ledger, role)) for role in ("stable", "previous", "candidate")},
        "rejected": [dataclasses.asdict(item) for item in ledger.rejected],
        "ledger": dataclasses.asdict(ledger) | {"status": ledger.status.value},
        "parameters": dict(parameters.projections),
        "lock": _lock(parameters.lock),
        "instances": share(ledger, group),
        "refresh": _refresh(fleet.read_newest_refresh(autoscaling, names.group)),
        "history": records,
    }
    return status | {"lines": status_lines(status)}


def _release(release: Release | None) -> dict[str, t.Any] | None:
    return dataclasses.asdict(release) if release else None


def _lock(lock: Lock | None) -> dict[str, t.Any] | None:
    if lock is None:
        return None
    return {"owner": lock.owner, "host": lock.host, "epoch": lock.epoch, "renewed_at": lock.modified.isoformat()}


def _refresh(refresh: Refresh | None) -> dict[str, t.Any] | None:
    return dataclasses.asdict(refresh) | {"started_at": refresh.started_at.isoformat()} if refresh else None


def share(ledger: Ledger, group: Group) -> list[dict[str, t.Any]]:
    """Instances by the template version they were launched from."""
    known = {
        release.template_version: release.version
        for release in (ledger.previous, ledger.candidate, ledger.stable)
        if release is not None
    }
    versions = sorted({member.template_version for member in group.members}, key=str)
    return [
        {
            "version": known.get(template),
            "template_version": template,
            "in_service": group.serving(template),
            "total": sum(member.template_version == template for member in group.members),
        }
        for template in versions
    ]


def status_lines(status: t.Mapping[str, t.Any]) -> list[str]:
    """The state, for people."""
    releases = [f"  {role:9} {_label(status[role])}" for role in ("stable", "previous", "candidate")]
    rejected = [f"  rejected  {item['version']}: {item['reason']}" for item in status["rejected"]]
    instances = [_instances_line(row) for row in status["instances"]]
    past = [line for record in status["history"] for line in _record_lines(record)]
    head = f"{status['deployment_id']}: {status['status']}"
    return [head, *releases, *rejected, *_under_way(status), *instances, *past]


def _label(release: t.Mapping[str, t.Any] | None) -> str:
    if not release:
        return NOBODY
    since = f", since {release['since']}" if release.get("since") else ""
    return f"{release['version']} (release {release['release_id']}, template {release['template_version']}{since})"


def _under_way(status: t.Mapping[str, t.Any]) -> list[str]:
    lock, refresh = status["lock"], status["refresh"]
    lines = [f"  lock      {lock['owner']}@{lock['host']}, renewed {lock['renewed_at']}"] if lock else []
    if refresh:
        lines.append(f"  refresh   {refresh['status']} {refresh['percentage']} % {refresh['reason']}".rstrip())
    return lines


def _instances_line(row: t.Mapping[str, t.Any]) -> str:
    version = row["version"] or "another template"
    return (
        f"  instances {row['in_service']} of {row['total']} in service: {version} (template {row['template_version']})"
    )


def _record_lines(record: t.Mapping[str, t.Any]) -> list[str]:
    head = (
        f"  #{record['sequence']} {record.get('kind')} {record.get('version')}: {record.get('outcome')}, "
        f"{record.get('started_at')} by {record.get('started_by')}"
    )
    verdicts = [
        f"      step {row['step']} ({row['percentage']} %): {row['verdict']}: {row['sentence']}"
        for row in record.get("verdicts", ())
    ]
    return [head, *verdicts, *([f"      {record['reason']}"] if record.get("reason") else [])]
