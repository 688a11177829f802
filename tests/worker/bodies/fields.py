# SPDX-License-Identifier: Apache-2.0
"""A strategy for each field of a payload, made from the worker's own models."""

from __future__ import annotations

import functools
import operator
import types
import typing as t

import annotated_types
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from api_scheduler import samplers
from api_scheduler.documents import envelope, overrides
from api_scheduler.documents.fields import FIELDS
from api_scheduler.documents.payload import PAYLOADS
from tests.worker.bodies import pictures

MODELS = ("first", "second-1.5")
LORAS = ("detail", "style")
"""What the deployment offers."""
_SIDES = st.integers(1, 16).map(lambda number: number * 8)
_PROMPTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0<"), max_size=60)
_LORAS = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(LORAS)}, optional={"weight": st.integers(-10, 10)}),
    max_size=2,
    unique_by=lambda one: one["name"],
)
_SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        overrides.MODEL: st.sampled_from([*MODELS, f"{MODELS[0]}.safetensors [0123abcd]", "", None]),
        **{name: st.sampled_from(values) for name, values in overrides.NEUTRAL.items()},
    },
)
_SCRIPTS = st.dictionaries(st.text(max_size=9), st.sampled_from([{}, {"args": []}, {"args": [False]}]), max_size=2)
# Where the model leaves a field open, or the limits are narrower: what a client would write.
_USUAL: dict[str, st.SearchStrategy[t.Any]] = {
    "prompt": _PROMPTS | _PROMPTS.map(lambda text: f"{text}<lora:{LORAS[0]}:0.5>"),
    "negative_prompt": _PROMPTS,
    "steps": st.integers(1, 6),
    "width": st.none() | _SIDES,
    "height": st.none() | _SIDES,
    "batch_size": st.integers(1, 2),
    "n_iter": st.integers(1, 2),
    "seed": st.integers(-1, 2**63 - 20),
    "loras": _LORAS,
    "override_settings": _SETTINGS,
    "alwayson_scripts": _SCRIPTS,
    "init_images": pictures.good().map(lambda picture: [picture]),
    "mask": pictures.masks(),
    "inpainting_fill": st.sampled_from([0, 1]),
}
_TOGETHER = {"sampler_name", "sampler_index", "scheduler", "eta"}


def known() -> list[str]:
    """Every field that a payload may name."""
    return sorted({name for api in PAYLOADS for name in (*used(api), *FIELDS[api].neutral, *FIELDS[api].ignored)})


def used(api: str) -> list[str]:
    """The fields of an API that take effect."""
    return sorted(PAYLOADS[api].model_fields)


def of_model(name: str, field: FieldInfo) -> st.SearchStrategy[t.Any]:
    """Values that the model accepts."""
    if name in _USUAL:
        return _USUAL[name]
    plain = _plain(field.annotation)
    bounds = [one for one in field.metadata if isinstance(one, annotated_types.BaseMetadata)]
    bounded = t.cast("type[t.Any]", t.Annotated[(plain, *bounds)] if bounds else plain)
    values: st.SearchStrategy[t.Any] = st.from_type(bounded)
    return values if plain is field.annotation else st.none() | values


def _plain(annotation: t.Any) -> t.Any:
    """Without ``| None``."""
    if t.get_origin(annotation) not in (t.Union, types.UnionType):
        return annotation
    rest = tuple(one for one in t.get_args(annotation) if one is not type(None))
    return functools.reduce(operator.or_, rest)


def sampler_pairs() -> st.SearchStrategy[dict[str, t.Any]]:
    """A sampler with a schedule that goes with it, in one of the spellings that clients use."""
    pairs = [(name, schedule) for name in samplers.names() for schedule in samplers.schedules(name)]

    def spelled(pair: tuple[str, str], style: int) -> dict[str, t.Any]:
        name, schedule = pair
        if style == 0 and schedule in ("Karras", "Exponential"):
            return {"sampler_name": f"{name} {schedule}"}
        key = "sampler_index" if style == 1 else "sampler_name"
        own = {"eta": (samplers.etas(name) or (None,))[-1]} if style == 4 else {}
        return {
            key: name.lower() if style == 2 else name,
            "scheduler": schedule.lower() if style == 3 else schedule,
            **own,
        }

    return st.just({}) | st.builds(spelled, st.sampled_from(pairs), st.integers(0, 4))


def neutral(api: str) -> st.SearchStrategy[dict[str, t.Any]]:
    """Some of the fields that have to be neutral, spelled out."""
    pairs = [(name, value) for name, one in FIELDS[api].neutral.items() for value in one.values]
    return st.lists(st.sampled_from(pairs), max_size=4).map(dict)


def ignored(api: str) -> st.SearchStrategy[dict[str, t.Any]]:
    """Some of the fields that cannot change the picture."""
    values = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5)
    return st.dictionaries(st.sampled_from(sorted(FIELDS[api].ignored)), values, max_size=3)


def payloads(api: str = envelope.TXT2IMG) -> st.SearchStrategy[dict[str, t.Any]]:
    """Payloads that are drawn."""
    model = {name: field for name, field in PAYLOADS[api].model_fields.items() if name not in _TOGETHER}
    needed = {name: of_model(name, field) for name, field in model.items() if field.is_required()}
    optional = {name: of_model(name, field) for name, field in model.items() if not field.is_required()}
    parts = st.tuples(st.fixed_dictionaries(needed, optional=optional), sampler_pairs(), neutral(api), ignored(api))
    return parts.map(_merged)


def _merged(parts: tuple[dict[str, t.Any], ...]) -> dict[str, t.Any]:
    payload = {name: value for part in parts for name, value in part.items()}
    if "<lora:" in payload.get("prompt", "") and payload.get("loras"):
        del payload["loras"]  # the same name twice is refused
    return payload
