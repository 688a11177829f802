# SPDX-License-Identifier: Apache-2.0
"""The way of one request from noise to picture: its own scheduler, which keeps state from step to step."""

from __future__ import annotations

import copy
import functools
import inspect
import typing as t

import diffusers
import torch

from api_scheduler.documents.drawing import Drawing
from api_scheduler.engines.loading import Model


def steps_of(job: Drawing) -> int:
    """How many of its steps a request takes: img2img begins late, by its strength."""
    return job.steps if job.start is None else min(int(job.steps * job.start.strength), job.steps)


class Schedule:
    """A scheduler and where it stands. Some call the UNet more than once a step: each call is a timestep of its own."""

    def __init__(self, model: Model, job: Drawing) -> None:
        self._scheduler = _fresh(model, job)
        _set_timesteps(self._scheduler, job.steps, model.device)
        begin = (job.steps - steps_of(job)) * int(self._scheduler.order)
        self._timesteps = self._scheduler.timesteps[begin:]
        # Told, not searched for: schedules of many steps round two of them to the same number.
        if hasattr(self._scheduler, "set_begin_index"):
            self._scheduler.set_begin_index(begin)
        self._options = job.sampler.at_each_step
        self._takes_generator = _takes_generator(job.sampler.scheduler_class)
        self._position = 0

    @property
    def done(self) -> bool:
        """Whether no timestep is left."""
        return self._position >= len(self._timesteps)

    @property
    def timestep(self) -> torch.Tensor:
        """The one to come."""
        return t.cast(torch.Tensor, self._timesteps[self._position])

    @property
    def first_noise(self) -> float:
        """By how much pure noise is scaled to begin with."""
        return float(self._scheduler.init_noise_sigma)

    def noised(self, latents: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Latents of a picture as noisy as they are before the timestep to come; untouched after the last."""
        if self.done:
            return latents
        timestep = self.timestep.reshape(1)
        return t.cast(torch.Tensor, self._scheduler.add_noise(latents, noise, timestep))

    def scaled(self, latents: torch.Tensor) -> torch.Tensor:
        """The latents as the UNet takes them."""
        return t.cast(torch.Tensor, self._scheduler.scale_model_input(latents, self.timestep))

    def step(self, prediction: torch.Tensor, latents: torch.Tensor, generators: list[torch.Generator]) -> torch.Tensor:
        """The latents after the timestep."""
        more = {**self._options, "generator": generators} if self._takes_generator else self._options
        stepped = self._scheduler.step(prediction, self.timestep, latents, **more, return_dict=False)[0]
        self._position += 1
        return t.cast(torch.Tensor, stepped)


def _fresh(model: Model, job: Drawing) -> t.Any:
    """A scheduler that no other request has touched: a copy, since some take 0.3 s to make.

    Its tensors, and what it was made of, are the same in all copies: a scheduler replaces tensors and changes none.
    """
    kind = (job.sampler.name, job.sampler.schedule)
    if kind not in model.schedulers:
        scheduler_class = getattr(diffusers, job.sampler.scheduler_class)
        # Where the model's own configuration does not mention clip_sample it would be True, which ruins latents.
        model.schedulers[kind] = scheduler_class.from_config(model.schedule, clip_sample=False, **job.sampler.options)
    made = model.schedulers[kind]
    shared = (made.config, *(value for value in vars(made).values() if isinstance(value, torch.Tensor)))
    return copy.deepcopy(made, {id(value): value for value in shared})


@functools.cache
def _takes_generator(scheduler_class: str) -> bool:
    return "generator" in inspect.signature(getattr(diffusers, scheduler_class).step).parameters


def _set_timesteps(scheduler: t.Any, steps: int, device: str) -> None:
    trained = scheduler.config.get("original_inference_steps")
    # LCM picks from the steps that it was distilled at, and refuses more of them.
    more = {"original_inference_steps": steps} if trained is not None and steps > trained else {}
    scheduler.set_timesteps(steps, device=device, **more)
