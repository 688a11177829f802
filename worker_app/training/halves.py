# SPDX-License-Identifier: Apache-2.0
"""The handwritten digits of scikit-learn in two halves: one teaches the model to draw, the other the reader to read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SPLIT_SEED = 20261123


@dataclass(frozen=True)
class Half:
    """Digits as 8x8 pictures of ink between 0 (none) and 1 (full), with what each one is."""

    ink: NDArray[np.float32]
    digits: NDArray[np.int64]


def drawing_half() -> Half:
    """The half that the model is trained on."""
    return _halves()[0]


def reading_half() -> Half:
    """The other half, which the model never sees."""
    return _halves()[1]


@cache
def _halves() -> tuple[Half, Half]:
    data = load_digits()
    ink = (data.images / 16.0).astype(np.float32)
    digits = data.target.astype(np.int64)
    parts = train_test_split(ink, digits, train_size=0.5, stratify=digits, random_state=SPLIT_SEED)
    return Half(parts[0], parts[2]), Half(parts[1], parts[3])
