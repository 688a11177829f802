# SPDX-License-Identifier: Apache-2.0
"""What must hold for every request: neutral fields change nothing, the others do, and a decision is always the same."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing as t

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api_scheduler.documents import envelope
from api_scheduler.documents.drawing import Drawing
from api_scheduler.documents.envelope import IMG2IMG, TXT2IMG, InvalidRequest
from api_scheduler.documents.fields import FIELDS
from api_scheduler.documents.parse import parse
from api_scheduler.documents.payload import PAYLOADS
from tests.worker.bodies import fields, pictures, requests
from tests.worker.bodies.judge import TERMS
from tests.worker.bodies.text import dump

thorough = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def decide(document: t.Any, message_id: str = "message") -> Drawing:
    return parse(envelope.decode(dump(document).encode(), message_id, 1 << 20), TERMS)


def drawn(api: str, payload: dict[str, t.Any], **around: t.Any) -> Drawing:
    return decide({"api": api, "payload": payload, "id": "mine", **around})


def comparable(value: t.Any) -> t.Any:
    """Pictures as their bytes: arrays have no one answer to whether they are equal."""
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    if dataclasses.is_dataclass(value):
        return {field.name: comparable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [comparable(one) for one in value]
    return value


def same(one: Drawing, other: Drawing) -> bool:
    return bool(comparable(one) == comparable(other))


apis = st.sampled_from(sorted(PAYLOADS))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@thorough
@given(st.data(), apis)
def test_all_neutral_fields_spelled_out_change_nothing(data: st.DataObject, api: str) -> None:
    payload = data.draw(fields.payloads(api))
    bare = {name: value for name, value in payload.items() if name in PAYLOADS[api].model_fields}
    some = {name: data.draw(st.sampled_from(neutral.values)) for name, neutral in FIELDS[api].neutral.items()}
    ignored = {name: data.draw(anything) for name in FIELDS[api].ignored}
    assert same(drawn(api, bare), drawn(api, {**bare, **some, **ignored}))


@thorough
@given(st.data(), apis)
def test_null_is_the_same_as_leaving_a_field_out(data: st.DataObject, api: str) -> None:
    payload = data.draw(fields.payloads(api))
    absent = {name: None for name in PAYLOADS[api].model_fields if name not in payload}
    assert same(drawn(api, payload), drawn(api, {**payload, **absent}))


@thorough
@given(st.data(), apis)
def test_defaults_spelled_out_change_nothing(data: st.DataObject, api: str) -> None:
    payload = data.draw(fields.payloads(api))
    model = PAYLOADS[api].model_fields.items()
    defaults = {name: one.get_default(call_default_factory=True) for name, one in model if not one.is_required()}
    given_here = {name: value for name, value in payload.items() if value is not None}
    assert same(drawn(api, payload), drawn(api, {**defaults, **given_here}))


@thorough
@given(requests.requests(), st.randoms(use_true_random=False))
def test_the_same_request_is_the_same_decision_however_it_is_written(document: dict[str, t.Any], chance: t.Any) -> None:
    members = list(document["payload"].items())
    chance.shuffle(members)
    other = {"payload": dict(members), **{name: document[name] for name in reversed(document) if name != "payload"}}
    first = decide(document)
    assert same(first, decide(document))
    assert same(first, decide(other))
    spaced = json.dumps(document, indent=3, ensure_ascii=False).encode()
    assert same(first, parse(envelope.decode(spaced, "message", 1 << 20), TERMS))


PICTURE, OTHER = pictures.encoded(pictures.picture()), pictures.encoded(pictures.picture(48))
MASK = pictures.encoded(pictures.picture(32, "PNG", "L"))
TEXTS: dict[str, t.Any] = {"prompt": "a", "steps": 4, "width": 64, "height": 64, "sampler_name": "Euler", "seed": 5}
INPAINT = {**TEXTS, "init_images": [OTHER], "mask": MASK}
PLAIN_MASK = {**INPAINT, "inpaint_full_res": False}
# Each field that takes effect, a request in which it does, and two values of it that are not drawn the same.
EFFECTS: dict[str, tuple[dict[str, t.Any], t.Any, t.Any]] = {
    "prompt": (TEXTS, "a", "b"),
    "negative_prompt": (TEXTS, "", "b"),
    "seed": (TEXTS, 1, 2),
    "steps": (TEXTS, 3, 4),
    "width": (TEXTS, 64, 72),
    "height": (TEXTS, 64, 72),
    "cfg_scale": (TEXTS, 7, 7.5),
    "sampler_name": (TEXTS, "Euler", "DDIM"),
    "sampler_index": ({**TEXTS, "sampler_name": None}, "Euler", "DDIM"),
    "scheduler": (TEXTS, "Karras", "Beta"),
    "eta": ({**TEXTS, "sampler_name": "DDIM"}, 0, 0.5),
    "batch_size": (TEXTS, 1, 2),
    "n_iter": (TEXTS, 1, 2),
    "override_settings": (TEXTS, {"sd_model_checkpoint": "first"}, {"sd_model_checkpoint": "second-1.5"}),
    "disable_extra_networks": ({**TEXTS, "prompt": "a <lora:style:1>"}, False, True),
    "loras": (TEXTS, [{"name": "style", "weight": 1}], [{"name": "style", "weight": 0.5}]),
    "init_images": ({**TEXTS, "init_images": [PICTURE]}, [PICTURE], [OTHER]),
    "denoising_strength": ({**TEXTS, "init_images": [PICTURE]}, 0.5, 0.6),
    "resize_mode": ({**TEXTS, "init_images": [PICTURE], "width": 128}, 0, 1),
    "mask": (INPAINT, MASK, None),
    "mask_blur": (PLAIN_MASK, 0, 4),
    "mask_blur_x": (PLAIN_MASK, 0, 4),
    "mask_blur_y": (PLAIN_MASK, 0, 4),
    "mask_round": (PLAIN_MASK, True, False),
    "inpainting_mask_invert": (PLAIN_MASK, 0, 1),
    "inpainting_fill": (PLAIN_MASK, 0, 1),
    "inpaint_full_res": ({**INPAINT, "width": 96, "mask_blur": 0}, True, False),
    "inpaint_full_res_padding": ({**INPAINT, "mask_blur": 0, "inpainting_mask_invert": 1}, 0, 4),
}
# Fields of which any value but the usual is refused.
ONLY_REFUSED: dict[str, t.Any] = {"alwayson_scripts": {"controlnet": {"args": [{"enabled": True}]}}}


@pytest.mark.parametrize("api", sorted(PAYLOADS))
def test_every_field_of_the_models_is_tried_below(api: str) -> None:
    assert set(PAYLOADS[api].model_fields) <= set(EFFECTS) | set(ONLY_REFUSED)


@pytest.mark.parametrize(("api", "name"), [(api, name) for api in PAYLOADS for name in fields.used(api)])
def test_every_field_that_takes_effect_changes_the_drawing(api: str, name: str) -> None:
    if name in ONLY_REFUSED:
        base = {**TEXTS, "sampler_name": "DDIM"} | ({"init_images": [PICTURE]} if api == IMG2IMG else {})
        with pytest.raises(InvalidRequest, match=f"^payload.{name}: "):
            drawn(api, {**base, name: ONLY_REFUSED[name]})
        return
    base, one, other = EFFECTS[name]
    base = base if api == TXT2IMG or "init_images" in base else {**base, "init_images": [PICTURE]}
    first, second = (drawn(api, {**base, name: value}) for value in (one, other))
    assert not same(first, second)
    assert same(first, drawn(api, {**base, name: one}))


@thorough
@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True), st.integers(1, 4), st.integers(1, 4))
def test_a_seed_left_out_follows_from_the_id_alone(request_id: str, batch: int, rounds: int) -> None:
    first = int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:4], "big")
    payload = {"batch_size": batch, "n_iter": rounds}
    expected = tuple(range(first, first + batch * rounds))
    document = {"api": TXT2IMG, "payload": payload}
    assert decide({**document, "id": request_id}, "another").seeds == expected
    assert decide(document, request_id).seeds == expected
    assert drawn(TXT2IMG, {**payload, "seed": -1, "prompt": "x"}, id=request_id).seeds == expected


def test_the_seeds_of_an_id_stay_what_they_are() -> None:
    # Written down: another version of the worker may draw the other half of a request's attempts.
    assert drawn(TXT2IMG, {}, id="a").seeds == (3398926610,)
    assert drawn(TXT2IMG, {"seed": 7, "n_iter": 3}).seeds == (7, 8, 9)
