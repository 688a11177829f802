# SPDX-License-Identifier: Apache-2.0
"""A strategy for each field of a payload, made from the worker's own models."""

from __future__ import annotations

import types
import typing as t

import annotated_types
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from api_scheduler import samplers
from api_scheduler.documents import envelope
from api_scheduler.documents.fields import TXT2IMG
from api_scheduler.documents.payload import Txt2Img

APIS: dict[str, t.Any] = {envelope.TXT2IMG: Txt2Img}
"""Each API with the model of its payload."""
_SIDES = st.integers(1, 16).map(lambda number: number * 8)
_PROMPTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0<"), max_size=60), st.just("")
)
# Where the model leaves a field open, or the limits are narrower: what a client would write.
_USUAL: dict[str, st.SearchStrategy[t.Any]] = {
    "prompt": _PROMPTS,
    "negative_prompt": _PROMPTS,
    "steps": st.integers(1, 6),
    "width": st.none() | _SIDES,
    "height": st.none() | _SIDES,
    "batch_size": st.integers(1, 2),
    "n_iter": st.integers(1, 2),
    "seed": st.integers(-1, 2**63 - 20),
    "eta": st.none(),
    "override_settings": st.sampled_from([{}, {"CLIP_stop_at_last_layers": 1}, {"sd_model_checkpoint": None}]),
    "alwayson_scripts": st.sampled_from([{}, {"ControlNet": {"args": []}}, {"ADetailer": {"args": [False]}}]),
    "loras": st.just([]),
}


def known() -> list[str]:
    """Every field that a payload may name."""
    return sorted(
        {*TXT2IMG.neutral, *TXT2IMG.ignored, *(name for model in APIS.values() for name in model.model_fields)}
    )


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
    if t.get_origin(annotation) in (t.Union, types.UnionType):
        return next(one for one in t.get_args(annotation) if one is not type(None))
    return annotation


def sampler_pairs() -> st.SearchStrategy[dict[str, t.Any]]:
    """A sampler with a schedule that goes with it, in one of the spellings that clients use."""
    pairs = [(name, schedule) for name in samplers.names() for schedule in samplers.schedules(name)]

    def spelled(pair: tuple[str, str], style: int) -> dict[str, t.Any]:
        name, schedule = pair
        if style == 0 and schedule in ("Karras", "Exponential"):
            return {"sampler_name": f"{name} {schedule}"}
        key = "sampler_index" if style == 1 else "sampler_name"
        return {key: name.lower() if style == 2 else name, "scheduler": schedule.lower() if style == 3 else schedule}

    return st.just({}) | st.builds(spelled, st.sampled_from(pairs), st.integers(0, 4))


def neutral() -> st.SearchStrategy[dict[str, t.Any]]:
    """Some of the fields that have to be neutral, spelled out."""
    one = st.sampled_from(sorted(TXT2IMG.neutral)).flatmap(
        lambda name: st.tuples(st.just(name), st.sampled_from(TXT2IMG.neutral[name].values))
    )
    return st.lists(one, max_size=4).map(dict)


def ignored() -> st.SearchStrategy[dict[str, t.Any]]:
    """Some of the fields that cannot change the picture."""
    values = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5)
    return st.dictionaries(st.sampled_from(sorted(TXT2IMG.ignored)), values, max_size=3)


def payloads(api: str = envelope.TXT2IMG) -> st.SearchStrategy[dict[str, t.Any]]:
    """Payloads that are drawn."""
    names = {"sampler_name", "sampler_index", "scheduler"}
    fields = {name: of_model(name, field) for name, field in APIS[api].model_fields.items() if name not in names}
    parts = st.tuples(st.fixed_dictionaries({}, optional=fields), sampler_pairs(), neutral(), ignored())
    return parts.map(lambda some: {name: value for part in some for name, value in part.items()})
