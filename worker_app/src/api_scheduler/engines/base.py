# SPDX-License-Identifier: Apache-2.0
"""What an engine is, and how it may fail."""

from __future__ import annotations

import typing as t

import numpy as np
import numpy.typing as npt

from api_scheduler.documents.drawing import Drawing

Picture: t.TypeAlias = npt.NDArray[np.uint8]
"""Height × width × 3."""
Progress = t.Callable[[], None]
"""Called after every step: proof that the engine lives."""


class OutOfMemory(Exception):
    """The card's memory does not hold this job."""


class InvalidOutput(Exception):
    """What came out is no picture: not finite, or constant."""


class Engine(t.Protocol):
    """Draws. Every method is called on the one drawing thread."""

    name: str
    """As it stands in every result."""
    native_side: int
    """Width and height where a request names none; known after ``load``."""

    def load(self) -> None:
        """Get ready: read the weights."""

    def warm_up(self, progress: Progress) -> Picture:
        """Draw one real, small picture."""

    def draw(self, jobs: t.Sequence[Drawing], progress: Progress) -> list[list[Picture]]:
        """The pictures of each job. Raises OutOfMemory, InvalidOutput or anything."""


def checked(picture: Picture) -> Picture:
    """The picture itself. Raises InvalidOutput where every pixel is the same."""
    if int(np.ptp(picture, axis=(0, 1)).max()) == 0:
        raise InvalidOutput("the picture is constant: every pixel is the same")
    return picture
