# SPDX-License-Identifier: Apache-2.0
"""What diffusers' own pipelines draw, one picture at a time: the measure of the engine's."""

from __future__ import annotations

import copy
import typing as t
from pathlib import Path

import diffusers
import numpy as np
import torch
from PIL import Image

from api_scheduler import samplers
from api_scheduler.documents.drawing import Drawing, Pixels


class Stock:
    """The pipelines of one model for text, picture, and picture with mask."""

    def __init__(self, directory: Path) -> None:
        quiet = {"dtype": torch.float32, "local_files_only": True}
        self._text: t.Any = diffusers.DiffusionPipeline.from_pretrained(str(directory), **quiet)
        family = "StableDiffusionXL" if hasattr(self._text, "text_encoder_2") else "StableDiffusion"
        self.xl = family == "StableDiffusionXL"
        self._picture, self._mask = (
            getattr(diffusers, f"{family}{way}Pipeline").from_pipe(self._text, dtype=torch.float32)
            for way in ("Img2Img", "Inpaint")
        )
        self._last: tuple[samplers.Sampler, t.Any] | None = None
        self._config = self._text.scheduler.config
        for pipeline in (self._text, self._picture, self._mask):
            pipeline.set_progress_bar_config(disable=True)

    def adapt(self, lora: str, weight: float) -> None:
        """From now on draw with a LoRA."""
        path = Path(lora)
        self._text.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name="one")
        self._text.set_adapters(["one"], [weight])

    def in_tiles(self) -> None:
        """From now on decode large pictures in tiles."""
        self._text.vae.enable_tiling()

    def draw(self, job: Drawing) -> list[Pixels]:
        """The pictures of a job."""
        return [self._one(job, seed) for seed in job.seeds]

    def _scheduler(self, sampler: samplers.Sampler) -> t.Any:
        """A fresh one; those of DPM2 take 0.3 s to make."""
        if self._last is None or self._last[0] != sampler:
            scheduler = getattr(diffusers, sampler.scheduler_class)
            self._last = (sampler, scheduler.from_config(self._config, clip_sample=False, **sampler.options))
        return copy.deepcopy(self._last[1])

    def _one(self, job: Drawing, seed: int) -> Pixels:
        more: dict[str, t.Any] = {"width": job.width, "height": job.height}
        pipeline = self._text
        if job.start is not None:
            pipeline, more = self._picture, {"image": [Image.fromarray(job.start.picture)]}
            more["strength"] = job.start.strength
        if job.start is not None and job.start.mask is not None:
            pipeline, more = self._mask, {**more, "mask_image": [Image.fromarray(job.start.mask)]}
            more |= {"width": job.width, "height": job.height}
        pipeline.scheduler = self._scheduler(job.sampler)
        [picture] = pipeline(
            [job.prompt],
            negative_prompt=None if self.xl and not job.negative_prompt else [job.negative_prompt],
            num_inference_steps=job.steps,
            guidance_scale=job.cfg_scale,
            generator=[torch.Generator().manual_seed(seed)],
            output_type="np",
            **more,
        ).images
        return t.cast(Pixels, (np.asarray(picture) * 255).round().astype(np.uint8))
