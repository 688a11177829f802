# SPDX-License-Identifier: Apache-2.0
"""Launch templates as EC2 has them: merged source versions, deletable versions, tags kept apart from the data."""

from __future__ import annotations

import copy
import typing as t

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError


class TemplateError(EC2ClientError):
    """An error with a code of EC2's own."""


def install() -> None:
    """Replace what moto does wrong about launch templates."""
    from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateVersion
    from moto.ec2.responses.launch_templates import LaunchTemplates

    setattr(LaunchTemplateVersion, "user_data", property(user_data))
    setattr(LaunchTemplate, "create_version", create_version)
    setattr(LaunchTemplate, "get_version", get_version)
    setattr(LaunchTemplate, "default_version", lambda self: get_version(self, "$Default"))
    setattr(LaunchTemplates, "create_launch_template", create_launch_template)
    setattr(LaunchTemplates, "create_launch_template_version", create_launch_template_version)
    setattr(LaunchTemplates, "delete_launch_template_versions", delete_launch_template_versions)
    setattr(LaunchTemplates, "describe_launch_template_versions", describe_launch_template_versions)


def user_data(version: t.Any) -> t.Any:
    """The user data as moto's instances want it, whichever call the version came from."""
    from moto.core.types import Base64EncodedString

    found = version.data.get("UserData")
    if found is None or isinstance(found, Base64EncodedString):
        return found
    return Base64EncodedString(found)


def create_version(template: t.Any, data: dict[str, t.Any], description: str) -> t.Any:
    """Add a version; a number is never used twice, even when the newest version was deleted."""
    from moto.ec2.models.launch_templates import LaunchTemplateVersion

    template.last_number = getattr(template, "last_number", 0) + 1
    version = LaunchTemplateVersion(template, template.last_number, copy.deepcopy(data), description)
    template.versions.append(version)
    return version


def get_version(template: t.Any, number: t.Any) -> t.Any:
    """The version of that number, ``$Latest`` or ``$Default``."""
    wanted = str(number or "$Default").lower()
    if wanted == "$latest":
        return template.latest_version()
    if wanted == "$default":
        wanted = str(template.default_version_number)
    for version in template.versions:
        if str(version.number) == wanted:
            return version
    raise not_found(template, number)


def not_found(template: t.Any, number: t.Any) -> Exception:
    """The error of a version that does not exist."""
    text = f"Could not find the specified version {number} for the launch template with ID {template.id}."
    return TemplateError("InvalidLaunchTemplateId.VersionNotFound", text)


def _version_reply(response: t.Any, template: t.Any, version: t.Any) -> dict[str, t.Any]:
    return {
        "CreateTime": version.create_time,
        "CreatedBy": f"arn:{response.partition}:iam::{response.current_account}:root",
        "DefaultVersion": template.is_default(version),
        "LaunchTemplateData": version.data,
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "VersionDescription": version.description,
        "VersionNumber": version.number,
    }


def _template_reply(response: t.Any, template: t.Any) -> dict[str, t.Any]:
    return {
        "CreateTime": template.create_time,
        "CreatedBy": f"arn:{response.partition}:iam::{response.current_account}:root",
        "DefaultVersionNumber": template.default_version_number,
        "LatestVersionNumber": template.latest_version_number,
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "Tags": template.tags,
    }


def _template(response: t.Any) -> t.Any:
    name, identity = response._get_param("LaunchTemplateName"), response._get_param("LaunchTemplateId")
    if identity:
        return response.ec2_backend.get_launch_template(identity)
    return response.ec2_backend.get_launch_template_by_name(name)


def create_launch_template(response: t.Any) -> ActionResult:
    """CreateLaunchTemplate: the tags given are the template's, they do not become part of its data."""
    from moto.ec2.utils import convert_tag_spec

    response.error_on_dryrun()
    tags = convert_tag_spec(response._get_param("TagSpecifications", []))
    template = response.ec2_backend.create_launch_template(
        response._get_param("LaunchTemplateName"),
        response._get_param("VersionDescription"),
        plain(response._get_param("LaunchTemplateData", {})),
        tags,
    )
    return ActionResult({"LaunchTemplate": _template_reply(response, template)})


def plain(value: t.Any) -> t.Any:
    """A copy of parsed parameters in which user data keeps its own type."""
    if isinstance(value, t.Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def create_launch_template_version(response: t.Any) -> ActionResult:
    """CreateLaunchTemplateVersion: the new data lies over the source version's, member by member."""
    template = _template(response)
    response.error_on_dryrun()
    source = response._get_param("SourceVersion")
    data = dict(get_version(template, source).data) if source else {}
    data.update(plain(response._get_param("LaunchTemplateData", {})))
    version = template.create_version(data, response._get_param("VersionDescription"))
    return ActionResult({"LaunchTemplateVersion": _version_reply(response, template, version)})


def delete_launch_template_versions(response: t.Any) -> ActionResult:
    """DeleteLaunchTemplateVersions: all but the default version can go."""
    template = _template(response)
    response.error_on_dryrun()
    gone: list[dict[str, t.Any]] = []
    kept: list[dict[str, t.Any]] = []
    for number in response._get_param("Versions", []):
        entry = {"LaunchTemplateId": template.id, "LaunchTemplateName": template.name, "VersionNumber": int(number)}
        code = _delete_version(template, int(number))
        error = {"Code": code, "Message": f"Launch template version {number} was not deleted"}
        (kept.append({**entry, "ResponseError": error}) if code else gone.append(entry))
    return ActionResult(
        {"SuccessfullyDeletedLaunchTemplateVersions": gone, "UnsuccessfullyDeletedLaunchTemplateVersions": kept}
    )


def _delete_version(template: t.Any, number: int) -> str | None:
    found = [version for version in template.versions if version.number == number]
    if not found:
        return "launchTemplateVersionDoesNotExist"
    if number == template.default_version_number:
        return "unexpectedError"
    template.versions.remove(found[0])
    return None


def describe_launch_template_versions(response: t.Any) -> ActionResult:
    """DescribeLaunchTemplateVersions, newest first as EC2 lists them, in pages."""
    response.error_on_dryrun()
    pairs = _wanted_versions(response)
    start = int(response._get_param("NextToken") or 0)
    stop = start + int(response._get_param("MaxResults") or 200)
    reply: dict[str, t.Any] = {
        "LaunchTemplateVersions": [
            _version_reply(response, template, version) for template, version in pairs[start:stop]
        ]
    }
    if stop < len(pairs):
        reply["NextToken"] = str(stop)
    return ActionResult(reply)


def _wanted_versions(response: t.Any) -> list[tuple[t.Any, t.Any]]:
    asked = response._get_param("Versions", [])
    if not response._get_param("LaunchTemplateName") and not response._get_param("LaunchTemplateId"):
        templates = response.ec2_backend.launch_templates.values()
        return [(template, get_version(template, number)) for template in templates for number in asked]
    template = _template(response)
    if asked:
        return [(template, get_version(template, number)) for number in asked]
    low, high = (
        int(response._get_param("MinVersion") or 1),
        int(response._get_param("MaxVersion") or template.last_number),
    )
    return [(template, version) for version in reversed(template.versions) if low <= version.number <= high]
