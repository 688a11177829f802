# SPDX-License-Identifier: Apache-2.0
"""JSON text that json.dumps would not write: NaN, numbers of thousands of digits, keys that stand twice."""

from __future__ import annotations

import dataclasses
import json
import typing as t


@dataclasses.dataclass(frozen=True)
class Raw:
    """Text that is put into the document as it is."""

    text: str


class Pairs(list[tuple[str, t.Any]]):
    """An object as its members in order; a name may stand there more than once."""


def dump(value: t.Any) -> str:
    """The value as JSON text."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        return dump(Pairs(value.items()))
    if isinstance(value, Pairs):
        return "{" + ", ".join(f"{json.dumps(name)}: {dump(one)}" for name, one in value) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(dump, value)) + "]"
    return json.dumps(value)


def nested(depth: int, inside: str = "1", kind: str = "[") -> Raw:
    """Lists in lists, or objects in objects."""
    opening, closing = ("[", "]") if kind == "[" else ('{"a":', "}")
    return Raw(opening * depth + inside + closing * depth)
