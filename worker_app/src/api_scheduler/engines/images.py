# SPDX-License-Identifier: Apache-2.0
"""Pictures and latents: into the autoencoder and out of it."""

from __future__ import annotations

import functools
import typing as t

import numpy as np
import torch

from api_scheduler.documents.drawing import Pixels, Start
from api_scheduler.engines.base import InvalidOutput, OutOfMemory, Picture, checked
from api_scheduler.engines.loading import Model
from api_scheduler.engines.memory import Budget, Short, tried

T = t.TypeVar("T")
DRAWN = 128
"""From this value on a mask's pixel is drawn anew."""


def noise(model: Model, height: int, width: int, generators: t.Sequence[torch.Generator]) -> torch.Tensor:
    """One latent of noise from each generator. They are on the CPU: the same on every card."""
    shape = (1, model.latent_channels, height // model.factor, width // model.factor)
    rows = [torch.randn(shape, generator=generator, dtype=model.dtype) for generator in generators]
    return torch.cat(rows).to(model.device)


def tensor(model: Model, picture: Pixels) -> torch.Tensor:
    """The picture as the autoencoder takes it, 1 × 3 × height × width from -1 to 1."""
    values = torch.from_numpy(picture.astype(np.float32) / 255.0).permute(2, 0, 1)[None]
    return (values * 2 - 1).to(model.device, model.vae_dtype)


def mask(model: Model, start: Start) -> torch.Tensor:
    """1 where a latent is drawn anew, 0 where it is kept."""
    values = torch.from_numpy((t.cast(Pixels, start.mask) >= DRAWN).astype(np.float32))[None, None]
    size = (values.shape[2] // model.factor, values.shape[3] // model.factor)
    return torch.nn.functional.interpolate(values, size=size).to(model.device, model.dtype)


def decode(
    model: Model, rows: torch.Tensor, pixels: int, budget: Budget, progress: t.Callable[[], None]
) -> torch.Tensor:
    """The values of these latents' pictures: together, in smaller parts or in tiles. Raises OutOfMemory."""
    parts: list[torch.Tensor] = []
    begin = 0
    while begin < len(rows):
        part = rows[begin : begin + (budget.decoded(pixels) or len(rows))]
        values = tried(functools.partial(_decoded, model, part))
        if isinstance(values, Short) and len(part) > 1:
            budget.lower_decoded(len(part), pixels)
            continue
        if isinstance(values, Short):
            values = _in_tiles(model, functools.partial(_decoded, model, part))
        parts.append(values)
        begin += len(part)
        progress()
    return torch.cat(parts)


def encoded(model: Model, values: torch.Tensor, generators: t.Sequence[torch.Generator]) -> torch.Tensor:
    """The latents of a picture, once for each generator, in tiles where memory is short. Raises OutOfMemory."""
    distribution = tried(lambda: model.pipe.vae.encode(values).latent_dist)
    if isinstance(distribution, Short):
        distribution = _in_tiles(model, lambda: model.pipe.vae.encode(values).latent_dist)
    rows = [distribution.sample(generator) for generator in generators]
    mean, deviation = _spread(model)
    scaled = (torch.cat(rows) - mean) * float(model.pipe.vae.config.scaling_factor) / deviation
    return t.cast(torch.Tensor, scaled.to(model.dtype))


def _in_tiles(model: Model, work: t.Callable[[], T]) -> T:
    """The work with an autoencoder that takes a large picture in overlapping tiles. Raises OutOfMemory."""
    model.pipe.vae.enable_tiling()
    try:
        value = tried(work)
    finally:
        model.pipe.vae.disable_tiling()
    if isinstance(value, Short):
        raise OutOfMemory(value.message)
    return value


def _decoded(model: Model, rows: torch.Tensor) -> torch.Tensor:
    vae = model.pipe.vae
    mean, deviation = _spread(model)
    unscaled = rows.to(model.vae_dtype) * deviation / float(vae.config.scaling_factor) + mean
    return t.cast(torch.Tensor, vae.decode(unscaled, return_dict=False)[0].float().cpu())


def _spread(model: Model) -> tuple[t.Any, t.Any]:
    config = model.pipe.vae.config
    if config.get("latents_mean") is None or config.get("latents_std") is None:
        return 0.0, 1.0
    mean, deviation = (
        torch.tensor(numbers, device=model.device, dtype=model.vae_dtype).view(1, -1, 1, 1)
        for numbers in (config.latents_mean, config.latents_std)
    )
    return mean, deviation


def picture(values: torch.Tensor) -> Picture:
    """The picture of these values. Raises InvalidOutput."""
    array = (values / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).numpy()
    if not np.isfinite(array).all():
        raise InvalidOutput("the picture holds values that are not finite")
    return checked((array * 255).round().astype(np.uint8))
