# SPDX-License-Identifier: Apache-2.0
"""The UNet: predicts the noise in a latent, guided by the text tower's view of the caption."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import CLIPTextModel, CLIPTokenizer

from training.autoencoder import LATENT_CHANNELS
from training.captions import Subject, describe, describe_nothing
from training.library import Autoencoder, Scheduler, Unet, diffusers
from training.pictures import SIZE, Studio
from training.progress import Course, say, train
from training.text import WIDTH, encode

_CHUNK = 64
_NOTHING_SHARE = 0.1
_SNR_LIMIT = 5.0
_EMA_DECAY = 0.995


@dataclass(frozen=True)
class Lesson:
    """Latents and text states, computed once before training."""

    latents: torch.Tensor
    states: torch.Tensor


def build_unet() -> Unet:
    """An untrained UNet for latents of a quarter of the picture's side, with attention at the lower resolution."""
    return diffusers.UNet2DConditionModel(
        sample_size=SIZE // 4,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(64, 96),
        layers_per_block=1,
        attention_head_dim=4,
        cross_attention_dim=WIDTH,
        norm_num_groups=16,
    )


def build_scheduler() -> Scheduler:
    """Stable Diffusion's noise schedule; latents are not pictures, so nothing is clipped to -1..1."""
    return diffusers.DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


@torch.no_grad()
def prepare(
    studio: Studio, autoencoder: Autoencoder, tower: CLIPTextModel, tokenizer: CLIPTokenizer, count: int
) -> Lesson:
    """Latents of about that many pictures, each with the text states of one caption."""
    latents, states = [], []
    for _unused in range(0, count, _CHUNK):
        drawn = studio.draw(_CHUNK)
        latents.append(autoencoder.encode(drawn.pixels).latent_dist.mode())
        tokens = encode(tokenizer, _captions(drawn.subjects, studio.rng))
        states.append(tower(input_ids=tokens).last_hidden_state)
    return Lesson(torch.cat(latents), torch.cat(states))


def teach(unet: Unet, lesson: Lesson, course: Course) -> Unet:
    """Train on noise prediction; returns the moving average of the weights, which draws better."""
    averaging = get_ema_multi_avg_fn(_EMA_DECAY)
    average = AveragedModel(unet, multi_avg_fn=averaging)
    scheduler = build_scheduler()

    def step() -> torch.Tensor:
        average.update_parameters(unet)
        rows = torch.randint(len(lesson.latents), (course.batch,))
        return noise_loss(unet, scheduler, lesson.latents[rows], lesson.states[rows])

    train(course, unet.parameters(), step)
    say("unet: done")
    return average.module.requires_grad_(False)


def noise_loss(unet: Unet, scheduler: Scheduler, latents: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """Squared error of the predicted noise, weighted by min(SNR, 5) / SNR so that no noise level dominates."""
    noise = torch.randn_like(latents)
    times = torch.randint(scheduler.config.num_train_timesteps, (len(latents),))
    predicted = unet(scheduler.add_noise(latents, noise, times), times, states).sample
    kept = scheduler.alphas_cumprod[times]
    snr = kept / (1 - kept)
    weight = snr.clamp(max=_SNR_LIMIT) / snr
    error: torch.Tensor = (predicted - noise).square().mean(dim=(1, 2, 3))
    loss: torch.Tensor = (error * weight).mean()
    return loss


def _captions(subjects: Sequence[Subject], rng: random.Random) -> list[str]:
    """A caption for each subject; one in ten says nothing, which is what guidance needs."""
    captions = [describe_nothing(rng) if rng.random() < _NOTHING_SHARE else describe(one, rng) for one in subjects]
    return [caption.text for caption in captions]
