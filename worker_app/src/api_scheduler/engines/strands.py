# SPDX-License-Identifier: Apache-2.0
"""A strand: pictures of one request that were begun together, with all that is theirs."""

from __future__ import annotations

import dataclasses
import typing as t

import torch

from api_scheduler.documents.drawing import Drawing, Start
from api_scheduler.engines import images
from api_scheduler.engines.loading import Model
from api_scheduler.engines.prompts import Prompts
from api_scheduler.engines.schedules import Schedule


@dataclasses.dataclass(frozen=True)
class Kept:
    """What inpaint keeps of the picture it begins with."""

    mask: torch.Tensor
    latents: torch.Tensor
    noise: torch.Tensor

    def imposed(self, latents: torch.Tensor, schedule: Schedule) -> torch.Tensor:
        """These latents, with what is kept put back as noisy as they are."""
        return (1 - self.mask) * schedule.noised(self.latents, self.noise) + self.mask * latents


@dataclasses.dataclass
class Strand:
    """Pictures of one request on their way."""

    task: t.Any
    """Whose they are."""
    first: int
    """Number of the first of them among the request's."""
    job: Drawing
    prompts: Prompts
    schedule: Schedule
    generators: list[torch.Generator]
    latents: torch.Tensor
    kept: Kept | None = None
    beside: torch.Tensor | None = None
    """For a UNet that inpaints: mask and masked picture, in channels beside the latents."""

    @property
    def pictures(self) -> int:
        """How many."""
        return len(self.generators)

    def inputs(self) -> torch.Tensor:
        """What the UNet is given."""
        scaled = self.schedule.scaled(self.latents)
        return scaled if self.beside is None else torch.cat([scaled, self.beside], dim=1)

    def advance(self, prediction: torch.Tensor) -> None:
        """Take one timestep."""
        self.latents = self.schedule.step(prediction, self.latents, self.generators)
        if self.kept is not None:
            self.latents = self.kept.imposed(self.latents, self.schedule)


def begin(model: Model, task: t.Any, job: Drawing, prompts: Prompts, first: int, seeds: t.Sequence[int]) -> Strand:
    """The pictures of these seeds at their first timestep. Raises OutOfMemory.

    Each seed's noise is drawn in the order in which diffusers' pipelines draw it, so that the pictures are theirs.
    """
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    schedule = Schedule(model, job)
    strand = Strand(task, first, job, prompts, schedule, generators, torch.empty(0))
    if job.start is None:
        strand.latents = images.noise(model, job.height, job.width, generators) * schedule.first_noise
    else:
        _start(model, strand, job.start)
    if model.inpaints:
        strand.beside = _beside(model, strand)
    return strand


def _start(model: Model, strand: Strand, start: Start) -> None:
    job, generators = strand.job, strand.generators
    # Inpaint at full strength begins with nothing but noise.
    fresh = start.mask is not None and start.strength >= 1
    known = None
    if not (fresh and model.inpaints):
        known = images.encoded(model, images.tensor(model, start.picture), generators)
    noise = images.noise(model, job.height, job.width, generators)
    if known is None or fresh:
        strand.latents = noise * strand.schedule.first_noise
    else:
        strand.latents = strand.schedule.noised(known, noise)
    if known is not None and start.mask is not None and not model.inpaints:
        images.noise(model, job.height, job.width, generators)  # the pipeline encodes the masked picture here too
        strand.kept = Kept(images.mask(model, start), known, noise)


def _beside(model: Model, strand: Strand) -> torch.Tensor:
    start = strand.job.start
    if start is None or start.mask is None:
        # Everything is to be drawn, and nothing is known of it.
        values = torch.zeros((1, 3, strand.job.height, strand.job.width))
        mask = torch.ones_like(strand.latents[:1, :1])
    else:
        keep = torch.from_numpy((start.mask < images.DRAWN).astype("float32"))
        values, mask = images.tensor(model, start.picture).cpu() * keep, images.mask(model, start)
    masked = images.encoded(model, values.to(model.device, model.vae_dtype), strand.generators)
    return torch.cat([mask.expand(strand.pictures, -1, -1, -1), masked], dim=1)
