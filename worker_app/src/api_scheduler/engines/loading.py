# SPDX-License-Identifier: Apache-2.0
"""A model, read from its directory: safetensors only, nothing from the network."""

from __future__ import annotations

import dataclasses
import json
import typing as t

import diffusers
import torch
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from api_scheduler import models
from api_scheduler.engines.graph import DecoderGraph, UnetGraph
from api_scheduler.models import ModelUnusable

_SD, _XL = "StableDiffusionPipeline", "StableDiffusionXLPipeline"
_PIPELINES = {_SD: _SD, "StableDiffusionInpaintPipeline": _SD, _XL: _XL, "StableDiffusionXLInpaintPipeline": _XL}
"""By the class that the model's index names: the one whose parts are used."""
_WITHOUT: dict[str, dict[str, t.Any]] = {
    _SD: {"safety_checker": None, "requires_safety_checker": False},
    _XL: {"add_watermarker": False},
}
_PLAIN, _INPAINT = 4, 9


@dataclasses.dataclass(frozen=True)
class Condition:
    """One text as the UNet takes it: 1 × tokens × width, and for SDXL the text as a whole."""

    text: torch.Tensor
    pooled: torch.Tensor | None = None


@dataclasses.dataclass
class Model:
    """The parts of a Stable Diffusion 1.x or XL model, ready on its device."""

    pipe: t.Any
    """A diffusers pipeline (the library publishes no types): its parts are used, its loop is not."""
    device: str
    dtype: torch.dtype
    vae_dtype: torch.dtype
    """Of the autoencoder, which is not always the UNet's."""
    graph: UnetGraph
    """How its UNet is called."""
    decoder: DecoderGraph
    """How its latents become pictures."""
    schedule: t.Any
    """The configuration of the model's own scheduler, which every sampler starts from."""
    schedulers: dict[tuple[str, str], t.Any] = dataclasses.field(default_factory=dict)
    """One of each sampler and schedule that was asked for, as made: never used, only copied."""
    conditions: dict[tuple[str, int], Condition] = dataclasses.field(default_factory=dict)
    """Texts of the last requests, each with its clip skip, encoded with the LoRA in use."""

    @property
    def xl(self) -> bool:
        """Whether it is an SDXL model: two text encoders, and the UNet is told the size."""
        return getattr(self.pipe, "text_encoder_2", None) is not None

    @property
    def inpaints(self) -> bool:
        """Whether the UNet takes mask and masked picture beside the latents."""
        return int(self.pipe.unet.config.in_channels) == _INPAINT

    @property
    def latent_channels(self) -> int:
        """The channels of a latent."""
        return int(self.pipe.vae.config.latent_channels)

    @property
    def factor(self) -> int:
        """Pixels along the side of one latent."""
        return int(self.pipe.vae_scale_factor)

    @property
    def native_side(self) -> int:
        """Width and height that the model was made for."""
        return int(self.pipe.unet.config.sample_size) * self.factor

    @property
    def distilled(self) -> bool:
        """Whether the UNet is told the guidance instead of being asked twice (LCM)."""
        return self.pipe.unet.config.time_cond_proj_dim is not None


def load(files: models.Model) -> Model:
    """Read the weights onto the GPU, or the CPU where there is none. Raises ModelUnusable."""
    name = _pipeline_class(files)
    _silence()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.float16 if device == "cuda" else torch.float32
    pipe = _read(files, name, dtype).to(device)
    if device == "cpu":
        for part in (pipe.unet, pipe.vae):
            part.to(memory_format=torch.channels_last)  # convolutions need not turn what they are given, and take less
    pipe.set_progress_bar_config(disable=True)
    channels = pipe.unet.config.in_channels
    if channels not in (_PLAIN, _INPAINT):
        raise ModelUnusable(f"{files.path}: its UNet takes {channels} channels; {_PLAIN} or {_INPAINT} are supported")
    if name == _XL and pipe.vae.config.force_upcast:
        pipe.vae.to(torch.float32)  # it overflows in half precision
    graphs = UnetGraph(pipe.unet), DecoderGraph(pipe.vae.decoder)
    return Model(pipe, device, dtype, pipe.vae.dtype, *graphs, pipe.scheduler.config)


def _read(files: models.Model, name: str, dtype: torch.dtype) -> t.Any:
    pipeline, common = getattr(diffusers, name), {"dtype": dtype, "local_files_only": True, **_WITHOUT[name]}
    if files.single_file:
        return pipeline.from_single_file(str(files.path), config=str(files.config), **common)
    return pipeline.from_pretrained(str(files.path), use_safetensors=True, low_cpu_mem_usage=False, **common)


def _pipeline_class(files: models.Model) -> str:
    index = files.config / "model_index.json"
    named = str(json.loads(index.read_text(encoding="utf-8")).get("_class_name", ""))
    if named not in _PIPELINES:
        raise ModelUnusable(f"{index}: {named!r} is not supported, use one of {', '.join(_PIPELINES)}")
    return _PIPELINES[named]


def _silence() -> None:
    for library in (diffusers_logging, transformers_logging):
        library.disable_progress_bar()
        # Their warnings quote prompts (the part that CLIP cuts off), and prompts are never logged.
        library.set_verbosity_error()
