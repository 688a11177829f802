# SPDX-License-Identifier: Apache-2.0
"""What an engine is, and how it may fail."""

from __future__ import annotations

import dataclasses
import typing as t

import numpy as np
import numpy.typing as npt

from api_scheduler.documents.drawing import Drawing
from api_scheduler.errors import Told

Picture: t.TypeAlias = npt.NDArray[np.uint8]
"""Height × width × 3."""
Progress = t.Callable[[], None]
"""Called after every step: proof that the engine lives."""


class OutOfMemory(Told):
    """The card's memory does not hold this job."""


class InvalidOutput(Told):
    """What came out is no picture: not finite, or constant."""


class EngineLost(Told):
    """This process can draw nothing any more: the card's context is broken. What was drawn can still be answered."""


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """A job that came to its end in a step: its pictures in the order of its seeds, or the error that ended it."""

    key: object
    pictures: list[Picture] = dataclasses.field(default_factory=list)
    error: BaseException | None = None
    flagged: tuple[bool, ...] = ()
    """Of each picture, whether the safety checker has blackened it; empty where there is none."""


class Engine(t.Protocol):
    """Draws several jobs together, step by step. Every method is called on the one drawing thread."""

    name: str
    """As it stands in every result."""
    native_side: int
    """Width and height where a request names none; known after ``load``."""

    @property
    def room(self) -> int:
        """How many more jobs of one picture of the native size could be begun now: an estimate."""

    def load(self) -> None:
        """Get ready: read the weights."""

    def warm_up(self, progress: Progress) -> Picture:
        """Draw one real, small picture, and find out how many fit at once."""

    def fits(self, job: Drawing) -> bool:
        """Whether this job may be begun beside what is being drawn now. True for any job while nothing is."""

    def begin(self, key: object, job: Drawing) -> None:
        """Take a job in. What it raises is the end of this job alone."""

    def step(self, progress: Progress) -> list[Drawn]:
        """One denoising step for all in work; those that came to their end. What it raises ends all in work."""

    def drop(self, key: object) -> None:
        """Forget a job, if it is in work: it was cancelled, or the worker must go."""


def checked(picture: Picture) -> Picture:
    """The picture itself. Raises InvalidOutput where every pixel is the same."""
    if int(np.ptp(picture, axis=(0, 1)).max()) == 0:
        raise InvalidOutput("the picture is constant: every pixel is the same")
    return picture
