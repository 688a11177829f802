# SPDX-License-Identifier: Apache-2.0
"""Prompts as the UNet takes them. What is beyond CLIP's 77 tokens is cut off."""

from __future__ import annotations

import dataclasses
import typing as t

import torch

from api_scheduler.documents.drawing import Drawing
from api_scheduler.engines.loading import Condition, Model

_KEPT = 64


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
    wanted = _condition(model, job.prompt, job.clip_skip)
    unwanted = _unwanted(model, job, wanted) if guided else None
    size = None
    if model.xl:
        numbers = [job.height, job.width, 0, 0, job.height, job.width]
        size = torch.tensor([numbers], dtype=wanted.text.dtype, device=model.device)
    return Prompts(wanted, unwanted, size, _guidance(model, job) if model.distilled else None)


def _unwanted(model: Model, job: Drawing, wanted: Condition) -> Condition:
    if wanted.pooled is not None and not job.negative_prompt and model.pipe.config.force_zeros_for_empty_prompt:
        # SDXL was trained with zeros where there is no text, not with the encoding of an empty one.
        return Condition(torch.zeros_like(wanted.text), torch.zeros_like(wanted.pooled))
    return _condition(model, job.negative_prompt, job.clip_skip)


def _condition(model: Model, text: str, skip: int) -> Condition:
    """One text; those of the last requests are kept, since many share their negative prompt at least."""
    known = model.conditions.pop((text, skip), None) or _encoded(model, text, skip)
    model.conditions[text, skip] = known
    if len(model.conditions) > _KEPT:
        del model.conditions[next(iter(model.conditions))]
    return known


def _encoded(model: Model, text: str, skip: int) -> Condition:
    if skip and not model.xl:
        return Condition(_early(model, text, skip))
    encoded = model.pipe.encode_prompt(
        prompt=[text], device=model.device, num_images_per_prompt=1, do_classifier_free_guidance=False
    )
    return Condition(encoded[0], encoded[2] if model.xl else None)


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


def _guidance(model: Model, job: Drawing) -> torch.Tensor:
    width = model.pipe.unet.config.time_cond_proj_dim
    embedding: t.Any = model.pipe.get_guidance_scale_embedding(torch.tensor([job.cfg_scale - 1]), embedding_dim=width)
    return t.cast(torch.Tensor, embedding.to(model.device, model.dtype))
