# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The limits as options of a module."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.comparisons import Limits


def suboptions(kind: type, types: t.Mapping[str, str | list[str]]) -> dict[str, t.Any]:
    """Options of a settings dataclass, with its defaults; a list instead of a type is a text's choices."""
    options = {}
    for field in dataclasses.fields(kind):
        default = {} if field.default is dataclasses.MISSING else field.default
        of = types.get(field.name, "int")
        typed = {"type": of} if isinstance(of, str) else {"type": "str", "choices": of}
        options[field.name] = {**typed, "default": default}
    return {"type": "dict", "options": options, "default": {}}


def stated(options: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """Of such options those that have a value; the dataclass has one for the others."""
    return {name: value for name, value in (options or {}).items() if value is not None}


RANGES: t.Mapping[str, tuple[float, float]] = {
    "min_jobs": (0, 1_000_000),
    "max_failure_share": (0, 1),
    "max_refused_share": (0, 1),
    "min_failures": (1, 1_000_000),
    "max_latency_ratio": (1, 1000),
    "max_pace_ms": (0, 1e9),
    "min_latency_jobs": (1, 1_000_000),
    "instance_spread": (0, 2),
    "false_alarms": (1e-6, 0.5),
}
LIMITS_SPEC = suboptions(
    Limits,
    {field.name: "float" for field in dataclasses.fields(Limits) if isinstance(field.default, float)},
)


def make_limits(given: t.Mapping[str, t.Any] | None) -> Limits:
    """The limits, checked.

    Raises: InvalidInput.
    """
    limits = Limits(**stated(given))
    for name, (low, high) in RANGES.items():
        value = getattr(limits, name)
        if not low <= value <= high:
            raise InvalidInput(f"limits.{name}={value:g} must be from {low:g} to {high:g}.")
    return limits
