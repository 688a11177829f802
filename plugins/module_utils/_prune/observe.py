# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""One look at everything that a deployment has gathered, and at everything that names some of it. Reads only."""

from __future__ import annotations

import datetime as dt
import re
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws, aws_call
from ansible_collections.diffusion.fleet.plugins.module_utils._prune import machine_images, registry
from ansible_collections.diffusion.fleet.plugins.module_utils._prune.values import Named, Observation, TemplateVersion
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.api import describe_refreshes
from ansible_collections.diffusion.fleet.plugins.module_utils._release import fleet, smoke, store, templates
from ansible_collections.diffusion.fleet.plugins.module_utils._release.adoption import decoded, template_version_of
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.observe import read_past

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
Row = t.Mapping[str, t.Any]


def observe(aws: Aws, names: Names, now: dt.datetime) -> Observation:
    """Read the account: first what is there, then who names it, so that nothing new is missing from the names.

    Raises: NotFound when the deployment is not provisioned, and the errors of every call.
    """
    ec2 = aws.client("ec2")
    rows = templates.read_versions(ec2, names)
    images = registry.read_images(aws.client("ecr"), names.group)
    amis, snapshots = machine_images.read_amis(ec2, names), machine_images.read_snapshots(ec2, names)
    queues = frozenset(smoke.find_queues(aws.client("sqs"), names))
    parameters = store.read_parameters(aws.client("ssm"), names)
    group = fleet.read_group(aws.client("autoscaling"), names)
    template_id = str(rows[0]["LaunchTemplateId"])
    return Observation(
        now=now,
        ledger=parameters.ledger,
        past=tuple(release for _unused, release in read_past(aws, names, parameters.ledger, group)),
        settings=(*_of_group(aws, names, rows), *_of_parameters(aws, names, parameters)),
        instances=machine_images.read_instances(ec2, names, template_id, [row.image_id for row in amis]),
        template_versions=tuple(_template_version(names, row) for row in rows),
        images=images,
        amis=amis,
        snapshots=snapshots,
        smoke_queues=queues,
    )


def _template_version(names: Names, row: Row) -> TemplateVersion:
    data, created = row["LaunchTemplateData"], t.cast(dt.datetime, row["CreateTime"])
    return TemplateVersion(
        number=str(row["VersionNumber"]),
        created=created.astimezone(dt.UTC),
        release_id=templates.described(row.get("VersionDescription")),
        digests=frozenset(DIGEST.findall(decoded(data.get("UserData", "")))),
        version=template_version_of(names, data),
        ami=data.get("ImageId"),
        default=bool(row.get("DefaultVersion")),
    )


def _of_parameters(aws: Aws, names: Names, parameters: store.Parameters) -> list[Named]:
    host = (parameters.host or {}).get("launch_template_data", {})
    baked = _baked(aws.client("ssm"), names)
    written = frozenset(value for name, value in parameters.projections.items() if name.endswith("-version"))
    return [
        Named("the parameters name it", versions=written),
        Named("provision.yml has given it to the hosts", amis=frozenset(filter(None, [host.get("ImageId")]))),
        Named("bake_ami.yml has made it last", amis=frozenset(filter(None, [baked]))),
    ]


@aws_call("read the parameter of the machine image")
def _baked(ssm: t.Any, names: Names) -> str | None:
    found = ssm.get_parameters(Names=[names.ami])["Parameters"]
    return str(found[0]["Value"]) if found else None


def _of_group(aws: Aws, names: Names, rows: t.Sequence[Row]) -> list[Named]:
    """What the group, its instances and its newest refresh are set to, in whatever member of theirs it stands."""
    autoscaling = aws.client("autoscaling")
    refreshes = describe_refreshes(autoscaling, names.group, limit=1)
    group = fleet.describe_group(autoscaling, names.group)
    found = (("the group uses it", group), ("an instance refresh names it", refreshes))
    return [_named(why, document, names, rows) for why, document in found]


def _named(why: str, document: t.Any, names: Names, rows: t.Sequence[Row]) -> Named:
    parts = list(_parts(document))
    numbers = _numbers(rows)
    versions = (str(part.get("Version") or "$Default") for part in parts if _is_ours(part, names, rows))
    amis = (part["ImageId"] for part in parts if isinstance(part.get("ImageId"), str))
    return Named(
        why, template_versions=frozenset(numbers.get(version, version) for version in versions), amis=frozenset(amis)
    )


def _parts(document: t.Any) -> t.Iterator[Row]:
    """Every object in a document."""
    if isinstance(document, t.Mapping):
        yield document
    inside = document.values() if isinstance(document, t.Mapping) else document
    for value in inside if isinstance(document, (t.Mapping, list)) else ():
        yield from _parts(value)


def _is_ours(part: Row, names: Names, rows: t.Sequence[Row]) -> bool:
    """Whether it is a specification of the deployment's launch template."""
    template_id = rows[0]["LaunchTemplateId"]
    return part.get("LaunchTemplateName") == names.group or part.get("LaunchTemplateId") == template_id


def _numbers(rows: t.Sequence[Row]) -> dict[str, str]:
    """What ``$Latest`` and ``$Default`` mean now."""
    meant = {"$Latest": max(row["VersionNumber"] for row in rows)}
    meant |= (("$Default", row["VersionNumber"]) for row in rows if row.get("DefaultVersion"))
    return {name: str(number) for name, number in meant.items()}
