# SPDX-License-Identifier: Apache-2.0
"""The txt2img payload of the AUTOMATIC1111 API: each field takes effect, is neutral, or is refused by name."""

from __future__ import annotations

import hashlib
import re
import typing as t

import pydantic

from api_scheduler import samplers
from api_scheduler.documents.drawing import Drawing
from api_scheduler.documents.envelope import Envelope, InvalidRequest
from api_scheduler.settings import Limits

_EMPTY: tuple[t.Any, ...] = (None, "")
NEUTRAL: dict[str, tuple[t.Any, ...]] = {
    # Fields that would change the picture, with the values at which they do not.
    "alwayson_scripts": (None, {}),
    "denoising_strength": (None, 0, 0.7, 0.75),
    "enable_hr": (None, False),
    "eta": (None, 0),
    "firstpass_image": _EMPTY,
    "firstphase_height": (None, 0),
    "firstphase_width": (None, 0),
    "infotext": _EMPTY,
    "override_settings": (None, {}),
    "refiner_checkpoint": (None, "", "None"),
    "restore_faces": (None, False),
    "s_churn": (None, 0),
    "s_min_uncond": (None, 0),
    "s_noise": (None, 1),
    "s_tmax": (None, 0),
    "s_tmin": (None, 0),
    "script_name": (None, "", "None"),
    "seed_resize_from_h": (None, -1, 0),
    "seed_resize_from_w": (None, -1, 0),
    "styles": (None, [], [""]),
    "subseed_strength": (None, 0),
    "tiling": (None, False),
}
IGNORED = frozenset(
    {
        # Fields that cannot change the picture here: they steer the other server's own files and replies, or belong to
        # a feature whose switch is in NEUTRAL (hr_* to enable_hr, subseed to subseed_strength and so on).
        "comments",
        "disable_extra_networks",
        "do_not_save_grid",
        "do_not_save_samples",
        "force_task_id",
        "hr_checkpoint_name",
        "hr_negative_prompt",
        "hr_prompt",
        "hr_resize_x",
        "hr_resize_y",
        "hr_sampler_name",
        "hr_scale",
        "hr_scheduler",
        "hr_second_pass_steps",
        "hr_upscaler",
        "override_settings_restore_afterwards",
        "refiner_switch_at",
        "save_images",
        "script_args",
        "send_images",
        "subseed",
    }
)
_NETWORK = re.compile(r"<(lora|lyco|hypernet):", re.IGNORECASE)
_MAX_SEED = 2**63 - 1
_MULTIPLE = 8
_WRITTEN_OUT = 10**20


class Payload(pydantic.BaseModel):
    """The fields that take effect. Sizes left out are the model's own."""

    model_config = pydantic.ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    prompt: str = ""
    negative_prompt: str = ""
    seed: int = pydantic.Field(default=-1, ge=-1, le=_MAX_SEED)
    steps: int = pydantic.Field(default=50, ge=1)
    width: int | None = pydantic.Field(default=None, ge=_MULTIPLE, multiple_of=_MULTIPLE)
    height: int | None = pydantic.Field(default=None, ge=_MULTIPLE, multiple_of=_MULTIPLE)
    cfg_scale: float = pydantic.Field(default=7.0, ge=0, le=100)
    sampler_name: str | None = None
    sampler_index: str | None = None
    scheduler: str | None = None
    batch_size: int = pydantic.Field(default=1, ge=1)
    n_iter: int = pydantic.Field(default=1, ge=1)


def parse(envelope: Envelope, limits: Limits, native_side: int) -> Drawing:
    """What the envelope asks for. Raises InvalidRequest, which names the field."""
    try:
        payload = _validate(envelope.payload)
        _check_prompts(payload, limits)
        return _drawing(payload, envelope, limits, native_side)
    except InvalidRequest as error:
        raise InvalidRequest(str(error), envelope.request_id, envelope.context) from None


def _validate(payload: dict[str, t.Any]) -> Payload:
    used: dict[str, t.Any] = {}
    for name, value in payload.items():
        if name in NEUTRAL:
            _check_neutral(name, value)
        elif name not in IGNORED and not (value is None and name in Payload.model_fields):
            used[name] = value
    try:
        return Payload.model_validate(used)
    except pydantic.ValidationError as error:
        raise InvalidRequest(_first_error(error)) from None


def _check_neutral(name: str, value: t.Any) -> None:
    # True == 1 in Python, and neither stands for the other in a payload.
    if not any(value == neutral and isinstance(value, bool) == isinstance(neutral, bool) for neutral in NEUTRAL[name]):
        raise InvalidRequest(
            f"payload.{name}: {_shown(value)} would change the picture and is not supported; leave it out"
        )


def _first_error(error: pydantic.ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"payload.{_clip(name)}: unknown field; leave it out"
    return f"payload.{name}: {_shown(first['input'])} is wrong: {first['msg']}"


def _check_prompts(payload: Payload, limits: Limits) -> None:
    for name, text in (("prompt", payload.prompt), ("negative_prompt", payload.negative_prompt)):
        if len(text) > limits.prompt_characters:
            raise InvalidRequest(f"payload.{name}: {len(text)} characters are more than {limits.prompt_characters}")
        if _NETWORK.search(text):
            raise InvalidRequest(f"payload.{name}: extra networks such as <lora:…> are not supported; leave them out")
        if "\x00" in text:
            raise InvalidRequest(f"payload.{name}: holds a NUL character; leave it out")


def _drawing(payload: Payload, envelope: Envelope, limits: Limits, native_side: int) -> Drawing:
    count = payload.batch_size * payload.n_iter
    width, height = payload.width or native_side, payload.height or native_side
    _at_most("batch_size × n_iter", count, limits.images)
    _at_most("steps", payload.steps, limits.steps)
    _at_most("width", width, limits.side)
    _at_most("height", height, limits.side)
    _at_most("width × height", width * height, limits.pixels)
    sampler = _sampler(payload)
    first = _random_seed(envelope) if payload.seed == -1 else payload.seed
    if first + count - 1 > _MAX_SEED:
        raise InvalidRequest(f"payload.seed: {first} + {count} pictures is above {_MAX_SEED}")
    return Drawing(
        payload.prompt,
        payload.negative_prompt,
        tuple(range(first, first + count)),
        payload.steps,
        width,
        height,
        payload.cfg_scale,
        sampler,
        payload.batch_size,
        payload.n_iter,
    )


def _sampler(payload: Payload) -> samplers.Sampler:
    field = "sampler_index" if payload.sampler_index and not payload.sampler_name else "sampler_name"
    try:
        return samplers.find(
            payload.sampler_name or payload.sampler_index or samplers.DEFAULT, payload.scheduler, field
        )
    except samplers.UnknownSampler as error:
        raise InvalidRequest(f"payload.{error}") from None


def _random_seed(envelope: Envelope) -> int:
    # From the id, so that a redelivery draws the same picture again and two deliveries cannot disagree.
    return int.from_bytes(hashlib.sha256(envelope.request_id.encode()).digest()[:4], "big")


def _at_most(name: str, value: int, limit: int) -> None:
    if value > limit:
        # Python refuses to write out integers of thousands of digits, and nobody would read them.
        shown = str(value) if value < _WRITTEN_OUT else "that many"
        raise InvalidRequest(f"payload.{name}: {shown} is more than the {limit} allowed here")


def _shown(value: t.Any) -> str:
    return _clip(repr(value))


def _clip(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
