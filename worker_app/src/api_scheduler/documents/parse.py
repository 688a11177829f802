# SPDX-License-Identifier: Apache-2.0
"""From an envelope to a drawing: each field takes effect, is neutral, or is refused by name."""

from __future__ import annotations

import hashlib
import itertools
import typing as t

import pydantic

from api_scheduler import samplers
from api_scheduler.documents import loras, overrides, starts
from api_scheduler.documents.drawing import Drawing
from api_scheduler.documents.envelope import Envelope, InvalidRequest
from api_scheduler.documents.fields import FIELDS, check_neutral
from api_scheduler.documents.payload import MAX_SEED, PAYLOADS, Img2Img, Txt2Img
from api_scheduler.documents.terms import Terms
from api_scheduler.documents.words import clip, shown
from api_scheduler.settings import Limits

_WRITTEN_OUT = 10**20


def parse(envelope: Envelope, terms: Terms) -> Drawing:
    """What the envelope asks for. Raises InvalidRequest, which names the field."""
    try:
        payload = _validate(envelope)
        _check_prompts(payload, terms.limits)
        return _drawing(payload, envelope, terms)
    except InvalidRequest as error:
        raise InvalidRequest(str(error), envelope.request_id, envelope.context) from None


def _validate(envelope: Envelope) -> Txt2Img:
    model, fields = PAYLOADS[envelope.api], FIELDS[envelope.api]
    used: dict[str, t.Any] = {}
    for name, value in envelope.payload.items():
        if name in fields.neutral:
            check_neutral(name, value, fields.neutral[name])
        elif name not in fields.ignored and not (value is None and name in model.model_fields):
            used[name] = value
    try:
        return model.model_validate(used)
    except pydantic.ValidationError as error:
        raise InvalidRequest(_first_error(error, envelope.api)) from None


def _first_error(error: pydantic.ValidationError, api: str) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    name = _name(first["loc"])
    if first["type"] == "extra_forbidden":
        return f"payload.{clip(name)}: {_unknown(name, api)}; leave it out"
    if first["type"] == "missing":
        return f"payload.{name}: missing, {api} cannot do without it"
    return f"payload.{name}: {shown(first['input'])} is wrong: {first['msg']}"


def _name(parts: tuple[str | int, ...]) -> str:
    name = str(parts[0])
    for before, part in itertools.pairwise(parts):
        if isinstance(part, int):
            name += f"[{part}]"
        elif isinstance(before, int):
            name += f".{part}"
        # Anything else is pydantic's own: the member of a union, which says nothing to a client.
    return name


def _unknown(name: str, api: str) -> str:
    for other, model in PAYLOADS.items():
        if other != api and (name in model.model_fields or name in {*FIELDS[other].neutral, *FIELDS[other].ignored}):
            return f"a field of {other}, not of {api}"
    return "unknown field"


def _check_prompts(payload: Txt2Img, limits: Limits) -> None:
    for name, text in (("prompt", payload.prompt), ("negative_prompt", payload.negative_prompt)):
        if len(text) > limits.prompt_characters:
            raise InvalidRequest(f"payload.{name}: {len(text)} characters are more than {limits.prompt_characters}")
        if "\x00" in text:
            raise InvalidRequest(f"payload.{name}: holds a NUL character; leave it out")


def _drawing(payload: Txt2Img, envelope: Envelope, terms: Terms) -> Drawing:
    overrides.check_scripts(payload.alwayson_scripts)
    model = overrides.model(payload.override_settings, terms)
    prompt, networks = loras.split(payload, terms)
    width, height = _size(payload, terms)
    return Drawing(
        prompt,
        payload.negative_prompt,
        _seeds(payload, envelope, terms.limits),
        payload.steps,
        width,
        height,
        payload.cfg_scale,
        _sampler(payload),
        payload.batch_size,
        payload.n_iter,
        starts.start(payload, terms, (width, height)) if isinstance(payload, Img2Img) else None,
        networks,
        model,
        overrides.clip_skip(payload.override_settings),
    )


def _size(payload: Txt2Img, terms: Terms) -> tuple[int, int]:
    limits = terms.limits
    width, height = payload.width or terms.native_side, payload.height or terms.native_side
    _at_most("steps", payload.steps, limits.steps)
    _at_most("width", width, limits.side)
    _at_most("height", height, limits.side)
    _at_most("width × height", width * height, limits.pixels)
    return width, height


def _seeds(payload: Txt2Img, envelope: Envelope, limits: Limits) -> tuple[int, ...]:
    count = payload.batch_size * payload.n_iter
    _at_most("batch_size × n_iter", count, limits.images)
    first = _random_seed(envelope) if payload.seed == -1 else payload.seed
    if first + count - 1 > MAX_SEED:
        raise InvalidRequest(f"payload.seed: {first} + {count} pictures is above {MAX_SEED}")
    return tuple(range(first, first + count))


def _sampler(payload: Txt2Img) -> samplers.Sampler:
    field = "sampler_index" if payload.sampler_index and not payload.sampler_name else "sampler_name"
    name = payload.sampler_name or payload.sampler_index or samplers.DEFAULT
    try:
        return samplers.with_eta(samplers.find(name, payload.scheduler, field), payload.eta)
    except samplers.UnknownSampler as error:
        raise InvalidRequest(f"payload.{error}") from None


def _random_seed(envelope: Envelope) -> int:
    # From the id, so that a redelivery draws the same picture again and two deliveries cannot disagree.
    return int.from_bytes(hashlib.sha256(envelope.request_id.encode()).digest()[:4], "big")


def _at_most(name: str, value: int, limit: int) -> None:
    if value > limit:
        # Python refuses to write out integers of thousands of digits, and nobody would read them.
        much = str(value) if value < _WRITTEN_OUT else "that many"
        raise InvalidRequest(f"payload.{name}: {much} is more than the {limit} allowed here")
