# SPDX-License-Identifier: Apache-2.0
"""A safety checker with random weights that flags the pictures it is shown, and no others."""

from __future__ import annotations

import typing as t
from pathlib import Path

import numpy as np
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor

from api_scheduler.engines.base import Picture

_SIDE = 32
_TOWER = {"hidden_size": 32, "intermediate_size": 37, "num_attention_heads": 4, "num_hidden_layers": 2}


def write(folder: Path, bad: Picture, good: t.Sequence[Picture]) -> Path:
    """Write a checker that flags ``bad`` and none of ``good``."""
    torch.manual_seed(3)
    config = CLIPConfig(
        text_config=_TOWER, vision_config={**_TOWER, "image_size": _SIDE, "patch_size": 8}, projection_dim=16
    )
    model: t.Any = StableDiffusionSafetyChecker(config).eval()
    torch.nn.init.normal_(model.visual_projection.weight)
    found = _embeddings(model, [bad, *good])
    nearest = float((found[0] * found[1:]).sum(-1).max())
    assert nearest < 0.99, "these pictures look alike to it"
    model.concept_embeds.data = found[:1].repeat(17, 1)
    model.concept_embeds_weights.data.fill_((1 + nearest) / 2)
    model.save_pretrained(folder, safe_serialization=True)
    return folder


def _embeddings(model: t.Any, pictures: t.Sequence[Picture]) -> t.Any:
    processor = CLIPImageProcessor(size={"shortest_edge": _SIDE}, crop_size={"height": _SIDE, "width": _SIDE})
    pixels = processor([Image.fromarray(np.asarray(picture)) for picture in pictures], return_tensors="pt").pixel_values
    with torch.no_grad():
        found = model.visual_projection(model.vision_model(pixels)[1])
    return found / found.norm(dim=-1, keepdim=True)
