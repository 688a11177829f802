# SPDX-License-Identifier: Apache-2.0
"""How much is put on the card at once: measured at warm-up, lowered whenever its memory runs out."""

from __future__ import annotations

import dataclasses
import typing as t

import torch

from api_scheduler.engines.base import OutOfMemory

T = t.TypeVar("T")
Seconds = t.Callable[[int], float | None]
"""How long one step of that many pictures takes; None where the memory does not hold them."""

_SAID = ("can't allocate memory", "ALLOC_FAILED")
"""What torch says of the CPU's memory, and CUDA's libraries of their own, as an error of no class of its own."""
_WORTH_WAITING_FOR = 0.9
"""A larger batch delays every picture in it, so it must save a tenth of the time of a picture at least."""
_LONGEST_STEP_SECONDS = 3.0
"""New requests join between steps: they are not to wait for longer than that."""


@dataclasses.dataclass(frozen=True)
class Short:
    """The memory did not hold it."""

    message: str


def tried(work: t.Callable[[], T]) -> T | Short:
    """What the work gives, or Short; then what it had allocated is free again."""
    try:
        return work()
    except (torch.OutOfMemoryError, MemoryError, OutOfMemory) as error:
        message = str(error).splitlines()[0] if str(error) else "no memory left"
    except RuntimeError as error:
        if not any(words in str(error) for words in _SAID):
            raise
        message = str(error).splitlines()[0]
    # Outside the handler: the exception's frames hold the tensors that are to be freed.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return Short(message)


class Budget:
    """How many pictures are drawn at once, and how many rows go through the UNet in one call."""

    def __init__(self, most: int, native_pixels: int) -> None:
        self.most = most
        """Pictures of the model's own size."""
        self._native = native_pixels
        self._row_pixels: int | None = None
        self._decoded_pixels: int | None = None

    def pictures(self, pixels: int) -> int:
        """How many pictures of this size are drawn at once: fewer of larger ones, at least one."""
        room = self.most * self._native // pixels
        if self._row_pixels is not None:
            room = min(room, self._row_pixels // (2 * pixels))
        return max(1, min(room, self.most))

    def rows(self, pixels: int) -> int | None:
        """How many rows of this size the UNet takes in one call, at least one; None: as many as there are."""
        return None if self._row_pixels is None else max(1, self._row_pixels // pixels)

    def decoded(self, pixels: int) -> int | None:
        """The same for the decoder."""
        return None if self._decoded_pixels is None else max(1, self._decoded_pixels // pixels)

    def lower_rows(self, rows: int, pixels: int) -> None:
        """So many rows at once were too many, from now on."""
        self._row_pixels = max(1, rows // 2) * pixels

    def lower_decoded(self, pictures: int, pixels: int) -> None:
        """So many pictures at once were too many for the decoder, from now on."""
        self._decoded_pixels = max(1, pictures // 2) * pixels


def worthwhile(seconds: Seconds, most: int) -> int:
    """The smallest batch that draws a picture in about the time of the best one; powers of two up to ``most``."""
    each: dict[int, float] = {}
    size = 1
    while size <= most:
        took = seconds(size)
        if took is None:
            break
        each[size] = took / size
        if took > _LONGEST_STEP_SECONDS:
            break
        size *= 2
    if not each:
        return 1
    best = min(each.values())
    return min(size for size, one in each.items() if one * _WORTH_WAITING_FOR <= best)


def held(seconds: Seconds, most: int) -> int:
    """The largest batch that the memory holds: ``most``, or half of what was too much."""
    while most > 1 and seconds(most) is None:
        most //= 2
    return most
