# SPDX-License-Identifier: Apache-2.0
"""The payloads of the AUTOMATIC1111 API: the fields that take effect, strictly typed."""

from __future__ import annotations

import typing as t

import pydantic

from api_scheduler.documents import envelope

MAX_SEED = 2**63 - 1
_MULTIPLE = 8
_MAX_BLUR = 256
MAX_WEIGHT = 10.0
HERE, NEUTRAL = "x-here", "neutral only"
"""How the schema marks a field that is checked as a whole, and has neutral values only."""
_Flag = bool | t.Literal[0, 1]
"""Older clients write 0 and 1 for what the API calls true and false."""


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class LoraField(_Strict):
    """One entry of ``loras``."""

    name: str = pydantic.Field(min_length=1)
    weight: float = pydantic.Field(default=1.0, ge=-MAX_WEIGHT, le=MAX_WEIGHT)


class Txt2Img(_Strict):
    """``/sdapi/v1/txt2img``. Sizes left out are the default model's own."""

    prompt: str = pydantic.Field(
        default="", description="what to draw; `<lora:name:weight>` draws with that LoRA, all else is plain text"
    )
    negative_prompt: str = pydantic.Field(default="", description="what not to draw")
    seed: int = pydantic.Field(default=-1, ge=-1, le=MAX_SEED, description="-1 takes one that follows from the id")
    steps: int = pydantic.Field(default=50, ge=1, description="of the sampler; img2img takes its strength's part")
    width: int | None = pydantic.Field(
        default=None, ge=_MULTIPLE, multiple_of=_MULTIPLE, description="left out, the default model's own"
    )
    height: int | None = pydantic.Field(
        default=None, ge=_MULTIPLE, multiple_of=_MULTIPLE, description="left out, the default model's own"
    )
    cfg_scale: float = pydantic.Field(default=7.0, ge=0, le=100, description="how closely to follow the prompt")
    sampler_name: str | None = pydantic.Field(default=None, description="see Samplers; left out, Euler")
    sampler_index: str | None = pydantic.Field(default=None, description="older name of `sampler_name`, which wins")
    scheduler: str | None = pydantic.Field(default=None, description="see Samplers; left out, Automatic")
    eta: float | None = pydantic.Field(
        default=None, ge=0, le=1, description="what the sampler can draw with, see Samplers; any where it has none"
    )
    batch_size: int = pydantic.Field(default=1, ge=1, description="pictures in a batch; seeds count up")
    n_iter: int = pydantic.Field(default=1, ge=1, description="batches; seeds count on")
    override_settings: dict[str, t.Any] = pydantic.Field(
        default_factory=dict, description="chooses the model, for one; see Settings"
    )
    alwayson_scripts: dict[str, t.Any] = pydantic.Field(
        default_factory=dict,
        description="scripts that are switched off: `args` of `[]` or `[false]`",
        json_schema_extra={HERE: NEUTRAL},
    )
    disable_extra_networks: bool = pydantic.Field(default=False, description="true: LoRA in the prompt are left out")
    loras: list[LoraField] = pydantic.Field(
        default=[], description="not of that API: `name` and `weight` (1), as `<lora:name:weight>` in the prompt"
    )


class Img2Img(Txt2Img):
    """``/sdapi/v1/img2img``; with ``mask``, inpainting."""

    init_images: list[str] = pydantic.Field(
        min_length=1, max_length=1, description="one picture: base64, with `data:` or without, or `s3://…/inputs/…`"
    )
    denoising_strength: float = pydantic.Field(
        default=0.75, ge=0, le=1, description="0 keeps the picture, 1 keeps nothing of it"
    )
    resize_mode: int = pydantic.Field(
        default=0, ge=0, le=2, description="0 stretches, 1 crops, 2 fits in and repeats the edges"
    )
    mask: str | None = pydantic.Field(
        default=None, description="white is drawn anew (its transparency, where it has any); as `init_images`"
    )
    mask_blur: int | None = pydantic.Field(default=None, ge=0, le=_MAX_BLUR, description="for both of the next")
    mask_blur_x: int = pydantic.Field(default=4, ge=0, le=_MAX_BLUR, description="across, in pixels")
    mask_blur_y: int = pydantic.Field(default=4, ge=0, le=_MAX_BLUR, description="down, in pixels")
    mask_round: bool = pydantic.Field(default=True, description="grey becomes black or white before the blur")
    inpainting_mask_invert: _Flag = pydantic.Field(default=0, description="1: black is drawn anew")
    inpainting_fill: int = pydantic.Field(
        default=0,
        ge=0,
        le=3,
        description="what lies under the mask at the start: 0 the colours around it, 1 the picture; with a mask 2 "
        "and 3 (latent noise, nothing) are refused",
    )
    inpaint_full_res: _Flag = pydantic.Field(
        default=True, description="true: the masked part is drawn at `width` × `height` and put back in its place"
    )
    inpaint_full_res_padding: int = pydantic.Field(
        default=0, ge=0, le=4096, description="pixels around that part that are drawn with it"
    )


PAYLOADS: dict[str, type[Txt2Img]] = {envelope.TXT2IMG: Txt2Img, envelope.IMG2IMG: Img2Img}
"""By the path of the call."""
