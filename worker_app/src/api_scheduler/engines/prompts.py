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
    if job.clip_skip:
        wanted, unwanted = (_early(model, text, job.clip_skip) for text in (job.prompt, job.negative_prompt))
    else:
        wanted, unwanted = model.pipe.encode_prompt(
            [job.prompt], model.device, 1, guided, negative_prompt=[job.negative_prompt]
        )
    return Prompts(Condition(wanted), Condition(unwanted) if guided else None, guidance=guidance)


def _early(model: Model, text: str, skip: int) -> torch.Tensor:
    """The text as it is so many layers before the encoder's last one; at least one layer is used."""
    tokenizer, encoder = model.pipe.tokenizer, model.pipe.text_encoder
    tokens = tokenizer(
        text, padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    )
    mask = tokens.attention_mask.to(model.device) if getattr(encoder.config, "use_attention_mask", False) else None
    states = encoder(tokens.input_ids.to(model.device), attention_mask=mask, output_hidden_states=True).hidden_states
    layer = max(1, encoder.config.num_hidden_layers - skip)
    # The library's own way looks for the last norm where an older release of transformers had it.
    norm = getattr(encoder, "text_model", encoder).final_layer_norm
    return t.cast(torch.Tensor, norm(states[layer]).to(model.dtype))


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
