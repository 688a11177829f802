# SPDX-License-Identifier: Apache-2.0
"""From any body to a drawing or to one refusal that names a field; samplers; picture text."""

from __future__ import annotations

import io
import json
import typing as t

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from api_scheduler import pictures, samplers
from api_scheduler.documents import envelope
from api_scheduler.documents.drawing import Drawing, Lora
from api_scheduler.documents.envelope import InvalidRequest
from api_scheduler.documents.fields import FIELDS as TABLES
from api_scheduler.documents.parse import parse
from api_scheduler.documents.payload import PAYLOADS
from api_scheduler.documents.terms import Terms
from api_scheduler.settings import Limits

MESSAGE_ID = "5fea7756-0ea4-451a-a703-a558b933e274"
TERMS = Terms(Limits(), 512, models=("digits", "other"), loras={"bold", "thin"})
FIELDS = sorted(
    {"unknown"}.union(*(model.model_fields for model in PAYLOADS.values()))
    | set[str]().union(*({*table.neutral, *table.ignored} for table in TABLES.values()))
)


def decide(body: bytes) -> Drawing:
    """The whole way from a body to what is drawn."""
    return parse(envelope.decode(body, MESSAGE_ID, TERMS.limits.body_bytes), TERMS)


def decided(body: bytes) -> Drawing | InvalidRequest:
    """What the body came to, either way."""
    try:
        return decide(body)
    except InvalidRequest as error:
        return error


def drawn(**payload: t.Any) -> Drawing:
    return decide(json.dumps({"api": envelope.TXT2IMG, "payload": payload}).encode())


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
payloads = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), values, max_size=6)
envelopes = st.fixed_dictionaries(
    {},
    optional={
        "schema": values,
        "id": values,
        "context": values,
        "ttl_seconds": values,
        "extra": values,
        "api": st.just(envelope.TXT2IMG) | values,
        "payload": payloads | values,
    },
)
valid_envelopes = st.fixed_dictionaries({"api": st.sampled_from(envelope.APIS), "payload": payloads})
bodies = st.binary(max_size=200) | (envelopes | valid_envelopes | values).map(lambda body: json.dumps(body).encode())


@settings(max_examples=400, deadline=None)
@given(bodies)
def test_any_body_is_drawn_or_refused_with_a_reason(body: bytes) -> None:
    outcome = decided(body)
    if isinstance(outcome, InvalidRequest):
        assert ":" in str(outcome)
        assert outcome.request_id is None or "/" not in outcome.request_id
        json.dumps({"context": outcome.context, "message": str(outcome)}, ensure_ascii=False, allow_nan=False).encode()
    else:
        check(outcome)


def check(drawing: Drawing) -> None:
    limits = Limits()
    assert 1 <= drawing.steps <= limits.steps
    assert 1 <= len(drawing.seeds) <= limits.images
    assert drawing.width * drawing.height <= limits.pixels
    assert min(drawing.seeds) >= 0
    json.dumps(drawing.parameters(), allow_nan=False)


def test_what_a_webui_client_sends_by_default_is_drawn() -> None:
    drawing = drawn(
        enable_hr=False,
        hr_scale=2,
        hr_upscaler="Latent",
        hr_second_pass_steps=0,
        hr_resize_x=0,
        hr_resize_y=0,
        denoising_strength=0.7,
        firstphase_width=0,
        firstphase_height=0,
        prompt="",
        styles=[],
        seed=-1,
        subseed=-1,
        subseed_strength=0.0,
        seed_resize_from_h=0,
        seed_resize_from_w=0,
        batch_size=1,
        n_iter=1,
        steps=20,
        cfg_scale=7.0,
        width=512,
        height=512,
        restore_faces=False,
        tiling=False,
        do_not_save_samples=False,
        do_not_save_grid=False,
        negative_prompt="",
        eta=1.0 * 0,
        s_churn=0,
        s_tmax=0,
        s_tmin=0,
        s_noise=1,
        override_settings={},
        override_settings_restore_afterwards=True,
        script_args=[],
        script_name=None,
        send_images=True,
        save_images=False,
        alwayson_scripts={},
        sampler_name=None,
        sampler_index=None,
    )
    assert (drawing.width, drawing.height, drawing.steps, drawing.sampler.name) == (512, 512, 20, "Euler")


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"enable_hr": True}, "enable_hr"),
        ({"tiling": True}, "tiling"),
        ({"restore_faces": 1}, "restore_faces"),
        ({"styles": ["anime"]}, "styles"),
        ({"eta": 0.5, "sampler_name": "Euler a"}, "eta"),
        ({"s_noise": 1.1}, "s_noise"),
        ({"subseed_strength": 0.1}, "subseed_strength"),
        ({"script_name": "x"}, "script_name"),
        ({"alwayson_scripts": {"controlnet": {"args": [{}]}}}, "alwayson_scripts"),
        ({"override_settings": {"a": 1}}, "override_settings.a"),
        ({"refiner_checkpoint": "x"}, "refiner_checkpoint"),
        ({"init_images": []}, "init_images"),
        ({"steps": True}, "steps"),
        ({"steps": 1.5}, "steps"),
        ({"seed": -2}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"cfg_scale": -1}, "cfg_scale"),
        ({"n_iter": 17}, "batch_size × n_iter"),
        ({"batch_size": 10**4000, "n_iter": 10**4000}, "batch_size × n_iter"),
        ({"prompt": 5}, "prompt"),
        ({"width": 2048, "height": 4096}, "height"),
        ({"scheduler": "Magic"}, "scheduler"),
        ({"sampler_index": "Magic"}, "sampler_index"),
        ({"sampler_name": "DDIM Karras"}, "sampler_name"),
        ({"sampler_name": "DDIM", "scheduler": "Karras"}, "scheduler"),
        ({"prompt": "\x00"}, "prompt"),
    ],
)
def test_what_would_change_the_picture_is_refused_by_name(payload: dict[str, t.Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        drawn(**payload)
    assert str(refused.value).startswith(f"payload.{field}: ")


@pytest.mark.parametrize("more", ["", ', "id": "../up"', ', "api": "/nothing"'])
def test_a_context_beyond_finite_numbers_is_refused_and_not_kept(more: str) -> None:
    body = '{"api": "/sdapi/v1/txt2img", "payload": {}, "context": [1e999]' + more + "}"
    with pytest.raises(InvalidRequest) as refused:
        decide(body.encode())
    assert str(refused.value).startswith("context: " if not more else more[3:].split('"')[0] + ": ")
    assert refused.value.context is None


@pytest.mark.parametrize("name", sorted(TABLES[envelope.TXT2IMG].neutral))
def test_neutral_values_are_accepted(name: str) -> None:
    for value in TABLES[envelope.TXT2IMG].neutral[name].values:
        drawn(**{name: value})


@pytest.mark.parametrize(
    ("name", "schedule", "expected"),
    [
        ("DPM++ 2M Karras", None, ("DPM++ 2M", "Karras")),
        ("dpm++ 2m", "karras", ("DPM++ 2M", "Karras")),
        ("Euler a", "Automatic", ("Euler a", "Automatic")),
        ("Euler", "SGM Uniform", ("Euler", "SGM Uniform")),
        ("DDIM", None, ("DDIM", "Automatic")),
        ("Euler", "sgm_uniform", ("Euler", "SGM Uniform")),
    ],
)
def test_samplers_are_found_by_old_and_new_names(name: str, schedule: str | None, expected: tuple[str, str]) -> None:
    sampler = samplers.find(name, schedule)
    assert (sampler.name, sampler.schedule) == expected


def test_the_older_sampler_index_counts_where_sampler_name_is_missing() -> None:
    assert drawn(sampler_index="DDIM").sampler.name == "DDIM"
    assert drawn(sampler_index="DDIM", sampler_name="Heun").sampler.name == "Heun"


def test_a_redelivery_draws_the_same_random_seed() -> None:
    assert drawn(seed=-1).seeds == drawn().seeds


@pytest.mark.parametrize("prompt", ["plain", "snow ☃ and 日本"])
def test_picture_text_can_be_read_back(prompt: str) -> None:
    drawing = drawn(prompt=prompt, negative_prompt="blur", seed=9, steps=3, width=64, height=64)
    text = pictures.infotext(drawing, 9)
    picture = np.arange(64 * 64 * 3, dtype=np.uint32).astype(np.uint8).reshape(64, 64, 3)
    image = Image.open(io.BytesIO(pictures.encode(picture, text)))
    assert np.array_equal(np.asarray(image), picture)
    assert image.info["parameters"].splitlines() == [
        prompt,
        "Negative prompt: blur",
        "Steps: 3, Sampler: Euler, Schedule type: Automatic, CFG scale: 7, Seed: 9, Size: 64x64, "
        "Version: api-scheduler 1.0.0",
    ]


@pytest.mark.parametrize(
    ("payload", "prompt", "expected"),
    [
        ({"prompt": "a cat <lora:bold:0.5>"}, "a cat", [Lora("bold", 0.5)]),
        ({"prompt": "a <lora:bold>cat"}, "a cat", [Lora("bold", 1.0)]),
        ({"prompt": "<LORA:bold:-1> <lora:thin:2>"}, "", [Lora("bold", -1.0), Lora("thin", 2.0)]),
        ({"prompt": "a", "loras": [{"name": "thin"}]}, "a", [Lora("thin", 1.0)]),
        (
            {"prompt": "a<lora:bold:1>", "loras": [{"name": "thin", "weight": 2}]},
            "a",
            [Lora("bold", 1), Lora("thin", 2)],
        ),
        ({"prompt": "a <lora:bold:1>", "disable_extra_networks": True}, "a", []),
        ({"prompt": "a < b > c"}, "a < b > c", []),
    ],
)
def test_lora_come_from_the_prompt_and_the_list(payload: dict[str, t.Any], prompt: str, expected: list[Lora]) -> None:
    drawing = drawn(**payload)
    assert (drawing.prompt, list(drawing.loras)) == (prompt, expected)
    assert drawing.parameters().get("loras", []) == [{"name": one.name, "weight": one.weight} for one in expected]


def test_picture_text_names_lora_as_the_prompt_did() -> None:
    drawing = drawn(prompt="a cat <lora:bold:0.5>", loras=[{"name": "thin", "weight": 2}])
    assert pictures.infotext(drawing, 1).splitlines()[0] == "a cat <lora:bold:0.5> <lora:thin:2>"


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"prompt": "<lora:other:1>"}, "prompt"),
        ({"prompt": "<lora:../../etc/passwd:1>"}, "prompt"),
        ({"prompt": "<lora::1>"}, "prompt"),
        ({"prompt": "<lora:bold:x>"}, "prompt"),
        ({"prompt": "<lora:bold:nan>"}, "prompt"),
        ({"prompt": "<lora:bold:1e9>"}, "prompt"),
        ({"prompt": "<lora:bold:1:2>"}, "prompt"),
        ({"prompt": "<lora:bold:1><lora:bold:1>"}, "prompt"),
        ({"prompt": "<hypernet:bold:1>"}, "prompt"),
        ({"prompt": "<lyco:bold:1>"}, "prompt"),
        ({"negative_prompt": "<lora:bold:1>"}, "negative_prompt"),
        ({"loras": [{"name": "other"}]}, "loras[0]"),
        ({"prompt": "<lora:bold:1>", "loras": [{"name": "bold"}]}, "loras[0]"),
        ({"loras": [{"name": "bold", "weight": "1"}]}, "loras[0].weight"),
        ({"loras": [{"name": "bold", "weight": 11}]}, "loras[0].weight"),
        ({"loras": [{"name": "bold", "path": "/x"}]}, "loras[0].path"),
        ({"loras": "bold"}, "loras"),
        ({"override_settings": {"sd_model_checkpoint": "third"}}, "override_settings.sd_model_checkpoint"),
        ({"override_settings": {"sd_model_checkpoint": 1}}, "override_settings.sd_model_checkpoint"),
        ({"override_settings": {"CLIP_stop_at_last_layers": 13}}, "override_settings.CLIP_stop_at_last_layers"),
        ({"override_settings": {"CLIP_stop_at_last_layers": True}}, "override_settings.CLIP_stop_at_last_layers"),
        ({"override_settings": []}, "override_settings"),
        ({"alwayson_scripts": {"x": {"args": [0]}}}, "alwayson_scripts"),
        ({"alwayson_scripts": {"x": {"other": []}}}, "alwayson_scripts"),
    ],
)
def test_what_the_deployment_does_not_have_is_refused_by_name(payload: dict[str, t.Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        drawn(**payload)
    assert str(refused.value).startswith(f"payload.{field}: ")


def test_more_lora_than_the_deployment_allows_are_refused() -> None:
    body = json.dumps({"api": envelope.TXT2IMG, "payload": {"prompt": "<lora:bold:1><lora:thin:1>"}}).encode()
    terms = Terms(Limits(loras=1), 512, loras={"bold", "thin"})
    with pytest.raises(InvalidRequest, match=r"payload\.prompt: 2 LoRA are more than 1"):
        parse(envelope.decode(body, MESSAGE_ID, 10_000), terms)


@pytest.mark.parametrize(
    "value", ["other", "other.safetensors", "other.safetensors [879db523c3]", "other [879db523c3]"]
)
def test_a_request_chooses_among_the_deployments_models(value: str) -> None:
    assert drawn(override_settings={"sd_model_checkpoint": value}).model == "other"


def test_a_request_that_chooses_no_model_is_drawn_with_the_first() -> None:
    assert drawn(override_settings={"sd_model_checkpoint": None, "CLIP_stop_at_last_layers": 1}).model == ""


def test_layers_of_the_text_encoder_are_left_out() -> None:
    assert drawn(override_settings={"CLIP_stop_at_last_layers": 1}).clip_skip == 0
    skipping = drawn(override_settings={"CLIP_stop_at_last_layers": 2})
    assert skipping.clip_skip == 1
    assert skipping.parameters()["override_settings"] == {"CLIP_stop_at_last_layers": 2}
    assert "Clip skip: 2, " in pictures.infotext(skipping, 1)


def test_eta_is_what_the_sampler_can_draw_with() -> None:
    assert drawn(sampler_name="Euler a", eta=1.0).sampler.at_each_step == {}
    assert drawn(sampler_name="DPM++ 2M", eta=0.3).sampler.at_each_step == {}
    assert drawn(sampler_name="DDIM", eta=0).sampler == drawn(sampler_name="DDIM").sampler
    fresh = drawn(sampler_name="DDIM", eta=1.0)
    assert fresh.sampler.at_each_step == {"eta": 1.0}
    assert fresh.parameters()["eta"] == 1.0
    assert "Eta: 1, " in pictures.infotext(fresh, 1)
    with pytest.raises(InvalidRequest, match=r"payload\.eta: 0 is not supported, Euler a draws with 1"):
        drawn(sampler_name="Euler a", eta=0)
