# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Whether what runs is what is wanted."""

from __future__ import annotations

import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.options import Document
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.request import overrides_of


def covers(running: t.Any, wanted: t.Any) -> bool:
    """Whether a document, as AWS answers it, holds all that is wanted.

    AWS answers more than it was given: a template's id beside its name, and the defaults of what was left out.
    """
    if isinstance(wanted, t.Mapping):
        return isinstance(running, t.Mapping) and all(covers(running.get(key), item) for key, item in wanted.items())
    if isinstance(wanted, (list, tuple)):
        same = isinstance(running, (list, tuple)) and len(running) == len(wanted)
        return same and all(covers(one, other) for one, other in zip(running, wanted, strict=True))
    return bool(running == wanted)


def same_configuration(running: Document, wanted: Document) -> bool:
    """Whether two desired configurations mean the same; none is only the same as none."""
    return bool(running) == bool(wanted) and covers(running, wanted)


def saved_configuration(group: Document) -> dict[str, t.Any]:
    """What the group has saved, in the form of a desired configuration; empty for a launch configuration."""
    return {form: group[form] for form in ("LaunchTemplate", "MixedInstancesPolicy") if group.get(form)}


def replaces_nothing(group: Document, request: Document) -> bool:
    """Whether a refresh with SkipMatching would find every instance, and the group itself, as wanted."""
    if not (request.get("Preferences") or {}).get("SkipMatching"):
        return False
    saved = saved_configuration(group)
    wanted = request.get("DesiredConfiguration") or saved
    if not saved or not covers(saved, wanted):
        return False
    return all(is_wanted(instance, wanted) for instance in group.get("Instances", []))


def is_wanted(instance: Document, wanted: Document) -> bool:
    """Whether an instance is one that this configuration launches."""
    overrides = overrides_of(wanted)
    fitting = [one for one in overrides if one.get("InstanceType") == instance.get("InstanceType")]
    if overrides and not fitting:
        return False
    override = fitting[0] if fitting else {}
    template = override.get("LaunchTemplateSpecification") or base_template(wanted)
    # A moving version says nothing about what an instance was launched from.
    if not str(template.get("Version", "")).isdecimal():
        return False
    image = override.get("ImageId")
    return covers(instance.get("LaunchTemplate"), template) and image in (None, instance.get("ImageId"))


def base_template(configuration: Document) -> Document:
    """The template that a configuration starts from."""
    policy = (configuration.get("MixedInstancesPolicy") or {}).get("LaunchTemplate") or {}
    found: Document = configuration.get("LaunchTemplate") or policy.get("LaunchTemplateSpecification") or {}
    return found


def differing_preferences(running: Document, request: Document) -> list[str]:
    """The preferences, and the strategy, that were asked for and that a running refresh has otherwise."""
    asked = request.get("Preferences") or {}
    has = running.get("Preferences") or {}
    names = [name for name, value in asked.items() if not covers(has.get(name), value)]
    strategy = [] if running.get("Strategy", "Rolling") == request.get("Strategy", "Rolling") else ["Strategy"]
    return sorted(names) + strategy
