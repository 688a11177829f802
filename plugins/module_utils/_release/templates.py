# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The launch template version of a release: rendered from the host settings and the image, found again by its id."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import aws_call, error_code
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import NotFound
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.user_data import user_data

ID_LENGTH = 12
DESCRIBED = re.compile(r"release ([0-9a-z]{12})")
TAGGED = ("instance", "volume")


def release_id(data: t.Mapping[str, t.Any]) -> str:
    """First 12 hex digits of the sha256 of the rendered data, which must not contain the id yet."""
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:ID_LENGTH]


def render(names: Names, host: t.Mapping[str, t.Any], image: str, version: str) -> tuple[str, dict[str, t.Any]]:
    """ReleaseId and LaunchTemplateData of that image on those host settings."""
    identity = release_id(_data(names, host, image, version, ""))
    return identity, _data(names, host, image, version, identity)


def _data(names: Names, host: t.Mapping[str, t.Any], image: str, version: str, identity: str) -> dict[str, t.Any]:
    environment = {
        **host["worker_env"],
        "SD_IMAGE": image,
        "SD_IMAGE_VERSION": version,
        "SD_RELEASE_ID": identity,
        "SD_SMOKE_QUEUE": names.smoke_queue(identity),
    }
    told = user_data(environment, host.get("first_boot"))
    return {
        **host["launch_template_data"],
        "UserData": base64.b64encode(told.encode()).decode(),
        "TagSpecifications": _tagged(host["launch_template_data"], {"ImageVersion": version, "ReleaseId": identity}),
    }


def _tagged(data: t.Mapping[str, t.Any], extra: t.Mapping[str, str]) -> list[dict[str, t.Any]]:
    given = {row["ResourceType"]: row["Tags"] for row in data.get("TagSpecifications", ())}
    kinds = [*TAGGED, *(kind for kind in given if kind not in TAGGED)]
    return [{"ResourceType": kind, "Tags": _merge(given.get(kind, ()), extra)} for kind in kinds]


def _merge(tags: t.Iterable[t.Mapping[str, str]], extra: t.Mapping[str, str]) -> list[dict[str, str]]:
    merged = {tag["Key"]: tag["Value"] for tag in tags} | dict(extra)
    return [{"Key": key, "Value": value} for key, value in sorted(merged.items())]


def find_version(ec2: t.Any, names: Names, identity: str) -> str | None:
    """Number of the template version that was made for that release, the first where there are several.

    Found by its description: the tags in the data are copied when somebody derives a version of their own.
    """
    rows = _versions(ec2, names.group)
    numbers = [row["VersionNumber"] for row in rows if row.get("VersionDescription") == description(identity)]
    return str(min(numbers)) if numbers else None


def description(identity: str) -> str:
    """How the template version of a release is described."""
    return f"release {identity}"


def described(text: str | None) -> str | None:
    """The release that a template version with that description was made for; None where it says none."""
    found = DESCRIBED.fullmatch(text or "")
    return found[1] if found else None


@aws_call("read the launch template")
def _versions(ec2: t.Any, name: str) -> list[dict[str, t.Any]]:
    pages = ec2.get_paginator("describe_launch_template_versions").paginate(LaunchTemplateName=name)
    try:
        return [row for page in pages for row in page["LaunchTemplateVersions"]]
    except ec2.exceptions.ClientError as error:
        if "NotFound" not in error_code(error):
            raise
        raise NotFound(f"Launch template {name} does not exist: run provision.yml.") from error


def read_versions(ec2: t.Any, names: Names) -> list[dict[str, t.Any]]:
    """All versions of the deployment's launch template."""
    return _versions(ec2, names.group)


def has_version(ec2: t.Any, names: Names, number: str | None) -> bool:
    """Whether that template version still exists."""
    return any(str(row["VersionNumber"]) == number for row in _versions(ec2, names.group))


@aws_call("create the launch template version")
def create_version(ec2: t.Any, names: Names, identity: str, data: t.Mapping[str, t.Any]) -> str:
    """Create the template version of a release; its number."""
    reply = ec2.create_launch_template_version(
        LaunchTemplateName=names.group, VersionDescription=description(identity), LaunchTemplateData=dict(data)
    )
    return str(reply["LaunchTemplateVersion"]["VersionNumber"])


@aws_call("remove launch template versions")
def delete_versions(ec2: t.Any, names: Names, numbers: t.Sequence[str]) -> list[dict[str, t.Any]]:
    """Remove template versions; those that EC2 keeps, with its reason. One that is gone already is not among them."""
    reply = ec2.delete_launch_template_versions(LaunchTemplateName=names.group, Versions=list(numbers))
    kept = reply.get("UnsuccessfullyDeletedLaunchTemplateVersions", ())
    return [row for row in kept if row["ResponseError"].get("Code") != "launchTemplateVersionDoesNotExist"]
