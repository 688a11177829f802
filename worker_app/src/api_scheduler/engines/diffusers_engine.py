# SPDX-License-Identifier: Apache-2.0
"""The real engine: any Stable Diffusion 1.x directory in diffusers format."""

from __future__ import annotations

import typing as t

import numpy as np

from api_scheduler import samplers
from api_scheduler.documents.drawing import Drawing
from api_scheduler.engines.base import Drawn, InvalidOutput, OutOfMemory, Picture, Progress, checked
from api_scheduler.models import Model, Models

_WARM_UP_PROMPT = "a photo"
_WARM_UP_STEPS = 2


class DiffusersEngine:
    """One pipeline on the GPU, or on the CPU where there is none."""

    name = "diffusers"

    def __init__(self, models: Models, threads: int) -> None:
        self._models = models
        self._threads = threads
        self._pipe: t.Any = None  # a diffusers pipeline: the library publishes no types
        self._device = "cpu"
        self._schedule_config: t.Any = None
        self._in_work: dict[object, Drawing] = {}
        self.native_side = 512

    def load(self) -> None:
        """Read the weights: safetensors only, nothing from the network."""
        import torch
        from diffusers.utils import logging as diffusers_logging
        from transformers.utils import logging as transformers_logging

        diffusers_logging.disable_progress_bar()
        transformers_logging.disable_progress_bar()
        # Their warnings quote prompts (the part that CLIP cuts off), and prompts are never logged.
        diffusers_logging.set_verbosity_error()
        transformers_logging.set_verbosity_error()
        torch.set_num_threads(self._threads)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        with self._models.open() as model:
            self._pipe = _read(model, torch.float16 if self._device == "cuda" else torch.float32).to(self._device)
        self._pipe.set_progress_bar_config(disable=True)
        self._schedule_config = self._pipe.scheduler.config
        self.native_side = int(self._pipe.unet.config.sample_size) * int(self._pipe.vae_scale_factor)

    def warm_up(self, progress: Progress) -> Picture:
        """One picture of the model's own size."""
        side, sampler = self.native_side, samplers.find(samplers.DEFAULT, None)
        job = Drawing(_WARM_UP_PROMPT, "", (0,), _WARM_UP_STEPS, side, side, 7.0, sampler, 1, 1)
        return self._draw(job, progress)[0]

    @property
    def room(self) -> int:
        """One job at a time."""
        return 0 if self._in_work else 1

    def fits(self, _job: Drawing) -> bool:
        """While nothing is being drawn."""
        return not self._in_work

    def begin(self, key: object, job: Drawing) -> None:
        """Take a job in."""
        self._in_work[key] = job

    def step(self, progress: Progress) -> list[Drawn]:
        """Draw one whole job."""
        key, job = self._in_work.popitem()
        try:
            return [Drawn(key, self._draw(job, progress))]
        except Exception as error:  # noqa: BLE001 whatever ends a job is its end and no other's
            return [Drawn(key, error=error)]

    def drop(self, key: object) -> None:
        """Forget a job."""
        self._in_work.pop(key, None)

    def _draw(self, job: Drawing, progress: Progress) -> list[Picture]:
        import torch

        try:
            return self._draw_one(job, progress)
        except torch.OutOfMemoryError as error:
            message = str(error).splitlines()[0]
        except MemoryError as error:
            message = str(error) or "no memory left"
        # Outside the handler: the exception's frames hold the tensors that are to be freed.
        if self._device == "cuda":
            torch.cuda.empty_cache()
        raise OutOfMemory(message)

    def _draw_one(self, job: Drawing, progress: Progress) -> list[Picture]:
        pictures: list[Picture] = []
        for first in range(0, len(job.seeds), job.batch_size):
            pictures += self._draw_batch(job, job.seeds[first : first + job.batch_size], progress)
        return pictures

    def _draw_batch(self, job: Drawing, seeds: t.Sequence[int], progress: Progress) -> list[Picture]:
        import torch

        def after_step(_pipe: t.Any, _step: int, _timestep: t.Any, tensors: dict[str, t.Any]) -> dict[str, t.Any]:
            progress()
            return tensors

        self._pipe.scheduler = self._scheduler(job.sampler)
        output = self._pipe(
            prompt=[job.prompt] * len(seeds),
            negative_prompt=[job.negative_prompt] * len(seeds),
            width=job.width,
            height=job.height,
            num_inference_steps=job.steps,
            guidance_scale=job.cfg_scale,
            output_type="np",
            # The seeds' noise is drawn on the CPU: the same on every card.
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            callback_on_step_end=after_step,
        )
        progress()
        return [_picture(image) for image in output.images]

    def _scheduler(self, sampler: samplers.Sampler) -> t.Any:
        """A fresh scheduler: schedulers keep state from step to step."""
        import diffusers

        scheduler_class = getattr(diffusers, sampler.scheduler_class)
        # From the model's own configuration, so that the last job's sampler leaves nothing behind. Where that does not
        # mention clip_sample it would default to True, which ruins latents.
        return scheduler_class.from_config(self._schedule_config, clip_sample=False, **sampler.options)


def _read(model: Model, dtype: t.Any) -> t.Any:
    """The pipeline of a model, from its files alone."""
    from diffusers import StableDiffusionPipeline

    common = {"dtype": dtype, "local_files_only": True, "safety_checker": None, "requires_safety_checker": False}
    if model.single_file:
        return StableDiffusionPipeline.from_single_file(str(model.path), config=str(model.config), **common)
    return StableDiffusionPipeline.from_pretrained(
        str(model.path), use_safetensors=True, low_cpu_mem_usage=False, **common
    )


def _picture(image: t.Any) -> Picture:
    if not np.isfinite(image).all():
        raise InvalidOutput("the picture holds values that are not finite")
    return checked((np.asarray(image) * 255).round().astype(np.uint8))
