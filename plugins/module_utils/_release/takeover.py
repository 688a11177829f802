# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Reads what is known of a fleet without a ledger. Reads only; one API call, one function."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws, aws_call
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError, InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._release import history, registry, store, templates
from ansible_collections.diffusion.fleet.plugins.module_utils._release.adoption import Adoption, Facts, Host, infer
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import NONE
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import Group, Member

HISTORY_READ = 20
TEMPLATE_TAG = "aws:ec2launchtemplate:version"
"""EC2 puts it on what it launches from a template."""


def needed(parameters: store.Parameters) -> bool:
    """Whether something was released here and no ledger knows of it."""
    return not parameters.recorded and parameters.projections.get("image-version", NONE) != NONE


def look(aws: Aws, names: Names, group: Group, parameters: store.Parameters) -> Adoption | None:
    """The ledger that this fleet should have; None where it has one, or nothing was ever released.

    Raises: InvalidInput when what runs could not be returned to.
    """
    if not needed(parameters):
        return None
    facts = _facts(aws, names, group, parameters)
    if not facts.hosts and not _believable(facts):
        return None  # the parameter alone says so: the next run writes it back
    _check_name(names, group.template_name)
    return infer(names, facts)


def _believable(facts: Facts) -> bool:
    """Whether an empty group could run what the parameter says: its image is there, its template starts a worker."""
    number = facts.named.get(facts.saved, facts.saved)
    return facts.projections["image-version"] in facts.digests and _works(facts.templates.get(number, {}))


def _works(data: t.Mapping[str, t.Any]) -> bool:
    """Whether hosts of that template run a worker: the first version that provision.yml makes does nothing."""
    return bool(data.get("UserData"))


def _check_name(names: Names, found: str | None) -> None:
    """Releases are versions of the one template that bears the group's name."""
    if found == names.group:
        return
    uses = f"launch template {found}" if found else "a launch configuration"
    raise InvalidInput(
        f"The group {names.group} uses {uses}; releases need a launch template called {names.group}. Create it from "
        "the data of the version that runs (aws ec2 create-launch-template), set the group to its version 1, replace "
        "the instances (module instance_refresh), then run this again."
    )


def _facts(aws: Aws, names: Names, group: Group, parameters: store.Parameters) -> Facts:
    versions = templates.read_versions(aws.client("ec2"), names)
    numbers = {str(row["VersionNumber"]): row["LaunchTemplateData"] for row in versions}
    default = next((str(row["VersionNumber"]) for row in versions if row.get("DefaultVersion")), "1")
    named = {"$Latest": max(numbers, key=int, default="1"), "$Default": default}
    serving = [member for member in group.members if member.in_service]
    rows = _instances(aws.client("ec2"), [member.instance_id for member in serving]) if serving else {}
    hosts = [_host(member, rows.get(member.instance_id, {}), named) for member in serving]
    images = registry.resolve(aws.client("ecr"), names, None)
    return Facts(
        projections=parameters.projections,
        saved=group.template_version or "$Default",
        hosts=tuple(h for h in hosts if h.template_version not in numbers or _works(numbers[h.template_version])),
        templates=numbers,
        named=named,
        digests=dict(images),
        written=tuple(_written(aws.client("ssm"), names)),
        records=tuple(_records(aws.client("s3"), names.bucket(group.account_id))),
    )


def _host(member: Member, row: t.Mapping[str, t.Any], named: t.Mapping[str, str]) -> Host:
    tags = {tag["Key"]: tag["Value"] for tag in row.get("Tags", ())}
    number = member.template_version or ""
    if not number.isdigit() and ":" not in number:  # with a colon, a version of another template
        number = tags.get(TEMPLATE_TAG) or named.get(number) or named["$Default"]
    return Host(number, tags.get("ImageVersion"), tags.get("ReleaseId"), row.get("LaunchTime"))


@aws_call("read the instances")
def _instances(ec2: t.Any, ids: t.Sequence[str]) -> dict[str, dict[str, t.Any]]:
    pages = ec2.get_paginator("describe_instances").paginate(InstanceIds=list(ids))
    rows = (row for page in pages for found in page["Reservations"] for row in found["Instances"])
    return {row["InstanceId"]: row for row in rows}


@aws_call("read the history of a parameter")
def _written(ssm: t.Any, names: Names) -> list[tuple[dt.datetime, str]]:
    """What the parameter said, oldest first."""
    pages = ssm.get_paginator("get_parameter_history").paginate(Name=names.image_version)
    return sorted((row["LastModifiedDate"], str(row["Value"])) for page in pages for row in page["Parameters"])


def _records(s3: t.Any, bucket: str) -> list[dict[str, t.Any]]:
    """The release history; a fleet that was not provisioned by this collection has no bucket for it."""
    try:
        return history.newest(s3, bucket, HISTORY_READ)
    except FleetError as error:
        if error.details.get("code") == "NoSuchBucket":
            return []
        raise
