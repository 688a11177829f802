# SPDX-License-Identifier: Apache-2.0
"""What to draw: a request with everything settled, as engines take it."""

from __future__ import annotations

import dataclasses
import typing as t

import numpy as np
import numpy.typing as npt

from api_scheduler import samplers

Pixels: t.TypeAlias = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, eq=False)
class Paste:
    """What inpaint keeps: the drawing goes into the box of this picture, and through the mask only."""

    picture: Pixels
    mask: Pixels
    """Of the picture's size; 255 takes the drawing, 0 keeps the picture."""
    box: tuple[int, int, int, int]
    """Left, top, right, bottom."""


@dataclasses.dataclass(frozen=True, eq=False)
class Start:
    """The picture that img2img begins with."""

    picture: Pixels
    """Height × width × 3, of the drawing's own size."""
    strength: float
    """The API's ``denoising_strength``: 0 keeps the picture, 1 keeps nothing of it."""
    mask: Pixels | None = None
    """Height × width; 255 is drawn anew, 0 is kept (inpaint)."""
    paste: Paste | None = None
    """Where the drawing goes when it is done; engines need not look at it."""


@dataclasses.dataclass(frozen=True)
class Lora:
    """A low-rank adaptation to draw with."""

    name: str
    weight: float


@dataclasses.dataclass(frozen=True)
class Drawing:
    """What to draw: a payload with everything settled."""

    prompt: str
    negative_prompt: str
    seeds: tuple[int, ...]
    steps: int
    width: int
    height: int
    cfg_scale: float
    sampler: samplers.Sampler
    batch_size: int
    n_iter: int
    start: Start | None = None
    loras: tuple[Lora, ...] = ()
    model: str = ""
    """Name of one of the deployment's models; empty means its first."""
    clip_skip: int = 0
    """How many of the text encoder's last layers are left out."""

    @property
    def pixels(self) -> int:
        """Of all its pictures."""
        return self.width * self.height * len(self.seeds)

    @property
    def all_steps(self) -> int:
        """Steps of all its batches, one after the other; img2img leaves out those before its strength."""
        once = max(1, round(self.steps * self.start.strength)) if self.start else self.steps
        return once * self.n_iter

    def parameters(self) -> dict[str, t.Any]:
        """The parameters as used, under the API's names."""
        more: dict[str, t.Any] = {}
        if self.start:
            more["denoising_strength"] = self.start.strength
        if self.clip_skip:
            more["override_settings"] = {"CLIP_stop_at_last_layers": self.clip_skip + 1}
        if self.loras:
            more["loras"] = [dataclasses.asdict(lora) for lora in self.loras]
        return {
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt,
            "seed": self.seeds[0],
            "steps": self.steps,
            "width": self.width,
            "height": self.height,
            "cfg_scale": self.cfg_scale,
            "sampler_name": self.sampler.name,
            "scheduler": self.sampler.schedule,
            "batch_size": self.batch_size,
            "n_iter": self.n_iter,
            **self.sampler.at_each_step,
            **more,
        }
