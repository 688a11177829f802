# SPDX-License-Identifier: Apache-2.0
"""Training pictures: a digit of the drawing half, enlarged, in a colour on a background."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from training.captions import BACKGROUNDS, COLOURS, Rgb, Subject, random_subject
from training.halves import Half

SIZE = 32


@dataclass(frozen=True)
class Drawn:
    """Pictures of shape (n, 3, SIZE, SIZE) between -1 and 1, and what each one shows."""

    pixels: torch.Tensor
    subjects: Sequence[Subject]


class Studio:
    """Makes random training pictures from one half of the data."""

    def __init__(self, half: Half, seed: int) -> None:
        """All choices follow from the seed."""
        self.rng = random.Random(seed)
        self._digits = half.digits
        self._ink = np.stack([enlarge(ink) for ink in half.ink])

    def draw(self, count: int) -> Drawn:
        """That many pictures of random digits in random colours."""
        chosen = [self.rng.randrange(len(self._digits)) for _unused in range(count)]
        subjects = [random_subject(self.rng, int(self._digits[index])) for index in chosen]
        pictures = [paint(self._ink[index], subject) for index, subject in zip(chosen, subjects, strict=True)]
        return Drawn(torch.from_numpy(np.stack(pictures)), subjects)


def enlarge(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """8x8 ink enlarged smoothly to the size of a picture."""
    grey = Image.fromarray((ink * 255).astype(np.uint8))
    large = grey.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return np.asarray(large, dtype=np.float32) / np.float32(255)


def paint(ink: NDArray[np.float32], subject: Subject) -> NDArray[np.float32]:
    """Ink in the subject's colours, as (3, SIZE, SIZE) between -1 and 1."""
    front, back = _plane(COLOURS[subject.colour]), _plane(BACKGROUNDS[subject.background])
    return back + (front - back) * ink[None]


def _plane(colour: Rgb) -> NDArray[np.float32]:
    return (np.asarray(colour, dtype=np.float32) / 127.5 - 1).reshape(3, 1, 1)
