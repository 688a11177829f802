# SPDX-License-Identifier: Apache-2.0
"""Prompts as the UNet takes them. What is beyond CLIP's 77 tokens is cut off."""

from __future__ import annotations

import dataclasses
import typing as t

import torch

from api_scheduler.documents.drawing import Drawing
from api_scheduler.engines.loading import Model


@dataclasses.dataclass(frozen=True)
class Condition:
    """One prompt: 1 × tokens × width, and for SDXL the text as a whole."""

    text: torch.Tensor
    pooled: torch.Tensor | None = None


@dataclasses.dataclass(frozen=True)
class Prompts:
    """What a request wants, and what it does not want where its guidance asks for that."""

    wanted: Condition
    unwanted: Condition | None
    size: torch.Tensor | None = None
    """SDXL: the size that the UNet is told."""
    guidance: torch.Tensor | None = None
    """Distilled models: the guidance that the UNet is told."""


def encode(model: Model, job: Drawing) -> Prompts:
    """The prompts of a request."""
    guided = job.cfg_scale > 1 and not model.distilled
    guidance = _guidance(model, job) if model.distilled else None
    if model.xl:
        return _encode_xl(model, job, guided, guidance)
    wanted, unwanted = model.pipe.encode_prompt(
        [job.prompt], model.device, 1, guided, negative_prompt=[job.negative_prompt]
    )
    return Prompts(Condition(wanted), Condition(unwanted) if guided else None, guidance=guidance)


def _encode_xl(model: Model, job: Drawing, guided: bool, guidance: torch.Tensor | None) -> Prompts:
    # SDXL was trained with zeros where there is no text, not with the encoding of an empty one.
    negative = [job.negative_prompt] if job.negative_prompt else None
    wanted, unwanted, pooled, unwanted_pooled = model.pipe.encode_prompt(
        prompt=[job.prompt],
        device=model.device,
        num_images_per_prompt=1,
        do_classifier_free_guidance=guided,
        negative_prompt=negative,
    )
    numbers = [job.height, job.width, 0, 0, job.height, job.width]
    size = torch.tensor([numbers], dtype=wanted.dtype, device=model.device)
    return Prompts(Condition(wanted, pooled), Condition(unwanted, unwanted_pooled) if guided else None, size, guidance)


def _guidance(model: Model, job: Drawing) -> torch.Tensor:
    width = model.pipe.unet.config.time_cond_proj_dim
    embedding: t.Any = model.pipe.get_guidance_scale_embedding(torch.tensor([job.cfg_scale - 1]), embedding_dim=width)
    return t.cast(torch.Tensor, embedding.to(model.device, model.dtype))
