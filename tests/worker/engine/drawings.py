# SPDX-License-Identifier: Apache-2.0
"""Drawings to ask for, and how far two pictures are from each other."""

from __future__ import annotations

import typing as t

import numpy as np

from api_scheduler import samplers
from api_scheduler.documents.drawing import Drawing, Pixels, Start

SIDE = 32


def drawing(prompt: str = "a red three", sampler: str = "Euler", **more: t.Any) -> Drawing:
    """A drawing of the digits model's size; ``schedule`` goes with the sampler."""
    found = samplers.find(sampler, more.pop("schedule", None))
    values = {"negative_prompt": "", "seeds": (1,), "steps": 4, "width": SIDE, "height": SIDE, "cfg_scale": 4.0}
    return Drawing(**{"prompt": prompt, "sampler": found, "batch_size": 1, "n_iter": 1, **values, **more})


def right_half() -> Pixels:
    """A mask: the left half is kept."""
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
    mask[:, SIDE // 2 :] = 255
    return mask


def photo(seed: int = 0) -> Pixels:
    """A picture to begin with: soft colours, no noise."""
    corners = np.random.default_rng(seed).uniform(0, 255, (2, 2, 3))
    ramp = np.linspace(0, 1, SIDE)
    rows = corners[0] + ramp[:, None, None] * (corners[1] - corners[0])
    picture: Pixels = (rows[:, :1] + ramp[None, :, None] * (rows[:, 1:] - rows[:, :1])).round().astype(np.uint8)
    return picture


def from_photo(strength: float, mask: Pixels | None = None) -> Start:
    """The start of img2img, or of inpaint."""
    return Start(photo(), strength, mask)


def apart(one: Pixels, other: Pixels) -> int:
    """The largest difference of a value."""
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())
