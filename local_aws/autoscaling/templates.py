# SPDX-License-Identifier: Apache-2.0
"""Launch templates as Auto Scaling reads them from EC2."""

from __future__ import annotations

import typing as t

from local_aws.autoscaling.errors import ValidationError
from local_aws.autoscaling.model import Params, Template


def ec2_backend(account: str, region: str) -> t.Any:
    """moto's EC2 of an account and region."""
    from moto.ec2.models import ec2_backends

    return ec2_backends[account][region]


def config_spec(config: Params) -> Params:
    """The launch template specification in a configuration of a group."""
    if "MixedInstancesPolicy" in config:
        return t.cast(Params, config["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"])
    return t.cast(Params, config["LaunchTemplate"])


def config_overrides(config: Params) -> list[Params]:
    """The overrides of a mixed instances policy, or one empty override."""
    if "MixedInstancesPolicy" not in config:
        return [{}]
    return config["MixedInstancesPolicy"]["LaunchTemplate"].get("Overrides") or [{}]


def resolve(account: str, region: str, spec: Params) -> Template:
    """The numbered version that a specification means now; $Latest and $Default are looked up."""
    template = _find(ec2_backend(account, region), spec)
    wanted = spec.get("Version") or "$Default"
    for version in template.versions:
        if version is not None and str(version.number) == _number(template, wanted):
            return Template(template.id, template.name, int(version.number), version.data)
    raise ValidationError(
        f"You must use a valid fully-formed launch template. Could not find the specified version {wanted} for the "
        f"launch template with ID {template.id}."
    )


def _find(backend: t.Any, spec: Params) -> t.Any:
    """moto's template object."""
    template_id = spec.get("LaunchTemplateId") or backend.launch_template_name_to_ids.get(spec["LaunchTemplateName"])
    template = backend.launch_templates.get(template_id)
    if template is None:
        named = spec.get("LaunchTemplateName") or spec.get("LaunchTemplateId")
        raise ValidationError(
            "You must use a valid fully-formed launch template. The specified launch template, "
            f"{named}, does not exist."
        )
    return template


def _number(template: t.Any, wanted: str) -> str:
    """The number behind $Latest and $Default."""
    if wanted == "$Latest":
        return str(template.latest_version_number)
    return str(template.default_version_number) if wanted == "$Default" else str(wanted)


def complete_config(account: str, region: str, config: Params) -> Params:
    """A configuration with both name and id of its template, checked; the version stays as it was given."""
    spec = config_spec(config)
    if bool(spec.get("LaunchTemplateId")) == bool(spec.get("LaunchTemplateName")):
        raise ValidationError(
            "Valid requests must contain either launchTemplateId or LaunchTemplateName, but not both."
        )
    template = resolve(account, region, spec)
    full = {
        "LaunchTemplateId": template.template_id,
        "LaunchTemplateName": template.name,
        "Version": spec.get("Version") or "$Default",
    }
    if "MixedInstancesPolicy" not in config:
        return {"LaunchTemplate": full}
    if any("WeightedCapacity" in override for override in config_overrides(config)):
        raise ValidationError("Instance weights are not available in local_aws: every instance counts as one.")
    policy = config["MixedInstancesPolicy"]
    return {
        "MixedInstancesPolicy": policy
        | {"LaunchTemplate": policy["LaunchTemplate"] | {"LaunchTemplateSpecification": full}}
    }


def numbered(config: Params) -> bool:
    """True when the configuration names a template version by number."""
    return str(config_spec(config).get("Version", "$Default")).isdigit()
