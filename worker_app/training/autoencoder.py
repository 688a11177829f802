# SPDX-License-Identifier: Apache-2.0
"""The autoencoder: 32x32 pictures to 8x8 latents of four channels and back."""

from __future__ import annotations

import torch
from torch.nn import functional

from training.library import Autoencoder, diffusers
from training.pictures import SIZE, Studio
from training.progress import Course, say, train

LATENT_CHANNELS = 4


def build_autoencoder() -> Autoencoder:
    """An untrained autoencoder that shrinks each side by four."""
    return diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 32),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=SIZE,
        scaling_factor=1.0,
    )


def teach(autoencoder: Autoencoder, studio: Studio, course: Course) -> None:
    """Train to give the picture back, then set the latents to mean 0 and deviation 1."""

    def step() -> torch.Tensor:
        pixels = studio.draw(course.batch).pixels
        latents = autoencoder.encode(pixels).latent_dist.mode()
        restored = autoencoder.decode(latents).sample
        # No sampling noise: a blurry latent costs more than it gives. The last term only keeps latents small.
        loss: torch.Tensor = functional.l1_loss(restored, pixels) + 1e-4 * latents.square().mean()
        return loss

    train(course, autoencoder.parameters(), step)
    autoencoder.requires_grad_(False)
    standardise(autoencoder, studio.draw(512).pixels)
    say(f"autoencoder: mean error {_error(autoencoder, studio.draw(200).pixels):.4f} on a scale of 2")


@torch.no_grad()
def standardise(autoencoder: Autoencoder, pixels: torch.Tensor) -> None:
    """Fold mean and deviation of each latent channel into the two 1x1 convolutions beside the latents.

    The noise schedule expects latents of mean 0 and deviation 1, and the folded form needs no scaling factor.
    """
    latents = autoencoder.encode(pixels).latent_dist.mode()
    mean, deviation = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
    into, out = autoencoder.quant_conv, autoencoder.post_quant_conv
    into.weight[:LATENT_CHANNELS] /= deviation.reshape(-1, 1, 1, 1)
    into.bias[:LATENT_CHANNELS] = (into.bias[:LATENT_CHANNELS] - mean) / deviation
    # The second half predicts the variance, which was never trained: almost none, whatever the picture.
    into.weight[LATENT_CHANNELS:] = 0
    into.bias[LATENT_CHANNELS:] = -12
    out.bias += (out.weight[:, :, 0, 0] * mean).sum(dim=1)
    out.weight *= deviation.reshape(1, -1, 1, 1)


@torch.no_grad()
def _error(autoencoder: Autoencoder, pixels: torch.Tensor) -> float:
    restored = autoencoder.decode(autoencoder.encode(pixels).latent_dist.mode()).sample
    return float((restored - pixels).abs().mean())
