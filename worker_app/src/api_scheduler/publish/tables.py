# SPDX-License-Identifier: Apache-2.0
"""The tables of the documentation that are made from the code."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from api_scheduler import samplers
from api_scheduler.documents import overrides
from api_scheduler.documents.fields import FIELDS
from api_scheduler.documents.payload import HERE, NEUTRAL, PAYLOADS

Row = tuple[str, ...]
EFFECT, IGNORED = "takes effect", "no effect"
_LARGE = 2**53


@dataclasses.dataclass(frozen=True)
class _Known:
    """What is known of one field in one call."""

    here: str
    values: str
    meaning: str


def fields() -> list[Row]:
    """Every field of both calls, and what it does here."""
    calls = {api.rsplit("/", 1)[-1]: _of_call(api) for api in PAYLOADS}
    rows: list[Row] = [("field", "of", "here", "values", "meaning")]
    for name in sorted(set[str]().union(*calls.values())):
        found: dict[_Known, list[str]] = {}
        for call, known in calls.items():
            if name in known:
                found.setdefault(known[name], []).append(call)
        rows += [(f"`{name}`", ", ".join(where), one.here, one.values, one.meaning) for one, where in found.items()]
    return rows


def settings() -> list[Row]:
    """The keys of ``override_settings``."""
    rows: list[Row] = [
        ("key", "here", "values"),
        (f"`{overrides.MODEL}`", EFFECT, "a model of the deployment; with its file ending or hash, too"),
        (f"`{overrides.CLIP}`", EFFECT, f"1 to {overrides.MOST_LAYERS}, default 1; SDXL has one way only"),
    ]
    rows += [(f"`{name}`", NEUTRAL, _written(values)) for name, values in overrides.NEUTRAL.items()]
    return rows + [(f"`{name}`", IGNORED, "any") for name in sorted(overrides.IGNORED)]


def sampler_kinds() -> list[Row]:
    """Each sampler, and the diffusers class that it is."""
    rows: list[Row] = [("sampler", "diffusers class", "options", "`scheduler`", "`eta`")]
    for name in samplers.names():
        plain, etas = samplers.find(name, None), samplers.etas(name)
        options = _options(plain.options)
        schedules = ", ".join(samplers.schedules(name))
        rows.append((name, f"`{plain.scheduler_class}`", options, schedules, _range(etas)))
    return rows


def schedules() -> list[Row]:
    """Each schedule, and what it sets in the class's configuration."""
    rows: list[Row] = [("`scheduler`", "options")]
    options = {
        schedule: {key: value for key, value in found.options.items() if key not in samplers.find(name, None).options}
        for name in samplers.names()
        for schedule in samplers.schedules(name)
        for found in [samplers.find(name, schedule)]
    }
    return rows + [(schedule, _options(one)) for schedule, one in options.items()]


TABLES: dict[str, t.Callable[[], list[Row]]] = {
    "fields": fields,
    "settings": settings,
    "samplers": sampler_kinds,
    "schedules": schedules,
}


def markdown(rows: t.Sequence[Row]) -> str:
    """A table; its first row is its head."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def renewed(text: str) -> str:
    """The page with each of its marked tables made anew."""
    for name, rows in TABLES.items():
        begin, end = f"<!-- table {name} -->\n", f"<!-- end of {name} -->"
        if begin in text:
            before, _begin, rest = text.partition(begin)
            text = before + begin + markdown(rows()) + "\n" + end + rest.partition(end)[2]
    return text


def _of_call(api: str) -> dict[str, _Known]:
    table, schema = FIELDS[api], PAYLOADS[api].model_json_schema()
    known = {
        name: _Known(field.get(HERE, EFFECT), _values(field), field["description"])
        for name, field in schema["properties"].items()
    }
    known |= {name: _Known(NEUTRAL, _written(one.values), one.why) for name, one in table.neutral.items()}
    return known | {name: _Known(IGNORED, "any", why) for name, why in table.ignored.items()}


def _values(field: dict[str, t.Any]) -> str:
    """The type, bounds and default of a field, in few words."""
    plain = [one for one in field.get("anyOf", [field]) if one.get("type") != "null"]
    told = [" or ".join(" or ".join(map(str, one["enum"])) if "enum" in one else one["type"] for one in plain)]
    for one in plain:
        low, high, multiple = (one.get(key) for key in ("minimum", "maximum", "multipleOf"))
        if low is not None:
            told.append(f"{low} to {high}" if high is not None and high < _LARGE else f"{low} or more")
        if multiple is not None:
            told.append(f"a multiple of {multiple}")
    default = field.get("default")
    return ", ".join(told if default in (None, [], "") else [*told, f"default {json.dumps(default)}"])


def _written(values: t.Iterable[t.Any]) -> str:
    return ", ".join(f"`{json.dumps(value)}`" for value in values if value is not None)


def _range(bounds: tuple[float, float] | None) -> str:
    return "any" if bounds is None else " to ".join(f"{bound:g}" for bound in sorted(set(bounds)))


def _options(options: t.Mapping[str, t.Any]) -> str:
    return ", ".join(f"`{key}={value!r}`" for key, value in options.items()) or "none"
