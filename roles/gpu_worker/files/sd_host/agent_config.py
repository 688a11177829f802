# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks a configuration of the CloudWatch agent against a schema that knows every key and measurement it allows.

The agent's own schema lets unknown plugins, keys and measurements pass, and the agent then collects nothing, silently.
"""

from __future__ import annotations

import json
import re
import sys
import typing as t
from pathlib import Path

SCHEMA = Path(__file__).with_name("agent_schema.json")
Schema = t.Mapping[str, t.Any]
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
}


def problems(document: t.Any, schema: Schema | None = None) -> list[str]:
    """What is wrong, one sentence each, with the place: the subset of JSON Schema that the schema uses."""
    root = schema or json.loads(SCHEMA.read_text(encoding="utf-8"))
    return list(_problems(document, root, "configuration", root))


def _problems(value: t.Any, schema: Schema, at: str, root: Schema) -> t.Iterator[str]:
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    if "type" in schema and not _is(value, schema["type"]):
        yield f"{at}: must be of type {schema['type']}, not {json.dumps(value)}"
        return
    yield from _of_value(value, schema, at)
    if isinstance(value, dict):
        yield from _of_object(value, schema, at, root)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _problems(item, schema.get("items", {}), f"{at}[{number}]", root)


def _is(value: t.Any, name: str) -> bool:
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _of_value(value: t.Any, schema: Schema, at: str) -> t.Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {json.dumps(value)} is not one of {', '.join(map(str, schema['enum']))}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{at}: {json.dumps(value)} does not match {schema['pattern']}"
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{at}: {value} is less than {schema['minimum']}"
    if "minItems" in schema and len(value) < schema["minItems"]:
        yield f"{at}: is empty"


def _of_object(value: t.Mapping[str, t.Any], schema: Schema, at: str, root: Schema) -> t.Iterator[str]:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    yield from (f"{at}: {name} is missing" for name in schema.get("required", ()) if name not in value)
    for name, item in value.items():
        if name in known:
            yield from _problems(item, known[name], f"{at}.{name}", root)
        elif others is False:
            yield f"{at}: {name} is unknown, known are {', '.join(known)}"
        else:
            yield from _problems(item, others, f"{at}.{name}", root)


def main(path: Path) -> int:
    """Print what is wrong with a file; the exit status."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1
    found = problems(document)
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0
