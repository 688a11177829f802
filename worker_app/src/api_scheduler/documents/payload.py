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
_Flag = bool | t.Literal[0, 1]
"""Older clients write 0 and 1 for what the API calls true and false."""


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class LoraField(_Strict):
    """One entry of ``loras``."""

    name: str = pydantic.Field(min_length=1)
    weight: float = pydantic.Field(default=1.0, ge=-MAX_WEIGHT, le=MAX_WEIGHT)


class Txt2Img(_Strict):
    """``/sdapi/v1/txt2img``. Sizes left out are the model's own."""

    prompt: str = pydantic.Field(default="", description="`<lora:name:weight>` in it draws with that LoRA")
    negative_prompt: str = ""
    seed: int = pydantic.Field(default=-1, ge=-1, le=MAX_SEED, description="-1: one that follows from the id")
    steps: int = pydantic.Field(default=50, ge=1)
    width: int | None = pydantic.Field(default=None, ge=_MULTIPLE, multiple_of=_MULTIPLE)
    height: int | None = pydantic.Field(default=None, ge=_MULTIPLE, multiple_of=_MULTIPLE)
    cfg_scale: float = pydantic.Field(default=7.0, ge=0, le=100)
    sampler_name: str | None = None
    sampler_index: str | None = pydantic.Field(default=None, description="older name of `sampler_name`, which wins")
    scheduler: str | None = None
    eta: float | None = pydantic.Field(default=None, ge=0, le=1, description="only what the sampler does anyway")
    batch_size: int = pydantic.Field(default=1, ge=1, description="pictures at a time; seeds count up")
    n_iter: int = pydantic.Field(default=1, ge=1, description="batches one after the other; seeds count on")
    override_settings: dict[str, t.Any] = pydantic.Field(
        default_factory=dict, description="`sd_model_checkpoint` chooses the model; others at neutral values only"
    )
    alwayson_scripts: dict[str, t.Any] = pydantic.Field(
        default_factory=dict, description="only scripts that are switched off: `args` of `[]` or `[false]`"
    )
    disable_extra_networks: bool = pydantic.Field(default=False, description="the prompt's LoRA are left out")
    loras: list[LoraField] = pydantic.Field(
        default=[], description="not of that API: the same as `<lora:name:weight>` in the prompt"
    )


class Img2Img(Txt2Img):
    """``/sdapi/v1/img2img``; with ``mask``, inpainting."""

    init_images: list[str] = pydantic.Field(
        min_length=1, max_length=1, description="one picture: base64, `data:` or `s3://…/inputs/…`"
    )
    denoising_strength: float = pydantic.Field(default=0.75, ge=0, le=1)
    resize_mode: int = pydantic.Field(
        default=0, ge=0, le=2, description="0 stretch, 1 crop, 2 fit and repeat the edges"
    )
    mask: str | None = pydantic.Field(default=None, description="white is drawn anew; as in `init_images`")
    mask_blur: int | None = pydantic.Field(default=None, ge=0, le=_MAX_BLUR, description="both of the two below")
    mask_blur_x: int = pydantic.Field(default=4, ge=0, le=_MAX_BLUR)
    mask_blur_y: int = pydantic.Field(default=4, ge=0, le=_MAX_BLUR)
    mask_round: bool = pydantic.Field(default=True, description="grey becomes black or white before the blur")
    inpainting_mask_invert: _Flag = pydantic.Field(default=0, description="1: black is drawn anew")
    inpainting_fill: int = pydantic.Field(
        default=0, ge=0, le=3, description="what lies under the mask: 0 its surroundings' colours, 1 the picture"
    )
    inpaint_full_res: _Flag = pydantic.Field(default=True, description="true: draws the masked part at full size")
    inpaint_full_res_padding: int = pydantic.Field(default=0, ge=0, le=4096, description="pixels kept around it")


PAYLOADS: dict[str, type[Txt2Img]] = {envelope.TXT2IMG: Txt2Img, envelope.IMG2IMG: Img2Img}
"""By the path of the call."""
