# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Whether the installed botocore knows a request, member by member."""

from __future__ import annotations

import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput


def check_members(shape: t.Any, request: t.Mapping[str, t.Any], version: str) -> None:
    """Raise InvalidInput that names every member of ``request`` that ``shape`` lacks."""
    unknown = list(unknown_members(shape, request))
    if unknown:
        raise InvalidInput(
            f"botocore {version} does not know {', '.join(unknown)}. Check the spelling, or install a newer boto3.",
            unknown=unknown,
        )


def unknown_members(shape: t.Any, value: t.Any, path: str = "") -> t.Iterator[str]:
    """The paths of ``value`` that ``shape``, a botocore shape, has no member or no choice for."""
    if shape.type_name == "structure" and isinstance(value, t.Mapping):
        for name, item in value.items():
            where = f"{path}.{name}" if path else str(name)
            if name not in shape.members:
                yield where
            else:
                yield from unknown_members(shape.members[name], item, where)
    elif shape.type_name == "list" and isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from unknown_members(shape.member, item, f"{path}[{number}]")
    elif shape.type_name == "string" and shape.enum and value not in shape.enum:
        yield f"{path}={value}"
