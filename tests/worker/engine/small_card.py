# SPDX-License-Identifier: Apache-2.0
"""A card with little memory: torch's own hooks raise its own error where a part of the model is given too much."""

from __future__ import annotations

import dataclasses
import typing as t

import torch
from diffusers.models.attention_processor import SlicedAttnProcessor

from api_scheduler.engines.diffusers_engine import DiffusersEngine


@dataclasses.dataclass
class SmallCard:
    """How much each part may be given at once, in latents (rows × height × width); None: anything."""

    unet: int | None = None
    unet_in_slices: int | None = None
    """The same for the UNet while its attention is sliced; None: no more than without."""
    autoencoder: int | None = None
    refused: int = 0
    """How often the memory ran out."""
    largest: int = 0
    """The most that the UNet was given and held."""

    def put_into(self, engine: DiffusersEngine) -> t.Callable[[], None]:
        """From now on the engine draws on this card, until what is returned is called."""
        pipe = engine.session.model.pipe
        handles = [
            pipe.unet.register_forward_pre_hook(self._before_unet),
            pipe.vae.decoder.register_forward_pre_hook(self._before_decoder),
            pipe.vae.encoder.register_forward_pre_hook(self._before_encoder),
        ]

        def take_out() -> None:
            for handle in handles:
                handle.remove()

        return take_out

    def _before_unet(self, unet: t.Any, given: tuple[torch.Tensor, ...]) -> None:
        sliced = any(isinstance(one, SlicedAttnProcessor) for one in unet.attn_processors.values())
        limit = self.unet_in_slices if sliced and self.unet_in_slices is not None else self.unet
        size = _latents(given[0])
        self._check(size, limit, "UNet")
        self.largest = max(self.largest, size)

    def _before_decoder(self, _decoder: t.Any, given: tuple[torch.Tensor, ...]) -> None:
        self._check(_latents(given[0]), self.autoencoder, "decoder")

    def _before_encoder(self, _encoder: t.Any, given: tuple[torch.Tensor, ...]) -> None:
        self._check(_latents(given[0]) // 16, self.autoencoder, "encoder")

    def _check(self, size: int, limit: int | None, part: str) -> None:
        if limit is not None and size > limit:
            self.refused += 1
            raise torch.OutOfMemoryError(f"out of memory: {size} latents in the {part}, {limit} fit")


def _latents(values: torch.Tensor) -> int:
    return values.shape[0] * values.shape[2] * values.shape[3]
