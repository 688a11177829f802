# SPDX-License-Identifier: Apache-2.0
"""A model in use: its parts, its LoRA, what is drawn by it, and how many pictures that may be."""

from __future__ import annotations

import time
import typing as t

import torch

from api_scheduler import models
from api_scheduler.documents.drawing import Drawing, Lora
from api_scheduler.engines import denoising, loading, memory, prompts, strands
from api_scheduler.engines.base import Progress
from api_scheduler.engines.batching import Batch
from api_scheduler.engines.loras import Loras
from api_scheduler.engines.memory import Budget, Short, tried

_MOST_MEASURED = 16
_TIMES = 2
"""The first call of a size prepares for it; the faster one counts."""


class Session:
    """One model and its batch."""

    def __init__(self, files: models.Model, loras: t.Mapping[str, str], found: int) -> None:
        self.model = loading.load(files)
        self._loras = Loras(self.model.pipe, loras)
        self._adapted: t.Sequence[Lora] | None = ()
        """What is drawn with; None after some could not be read."""
        self.budget = Budget(found, self.model.native_side**2)
        self.batch = Batch(self.model, self.budget)

    def adapt(self, loras: t.Sequence[Lora]) -> None:
        """From now on draw with these LoRA and no others. Raises ModelUnusable."""
        if loras != self._adapted:
            self._adapted = None
            self.model.graph.used = False
            self.model.conditions.clear()
            self._loras.use(loras)
            self.model.graph.used = not loras
            self._adapted = loras

    @torch.inference_mode()
    def prepare(self, sample: Drawing) -> None:
        """On a CPU, record UNet and decoder at the sample's size. Raises OutOfMemory."""
        if self.model.device == "cpu":
            encoded = prompts.encode(self.model, sample)
            strand = strands.begin(self.model, None, sample, encoded, 0, sample.seeds)
            self.model.graph.record(denoising.sample(self.model, strand))
            self.model.decoder.record((strand.latents.to(self.model.vae_dtype),))

    def measure(self, wanted: int, sample: Drawing, progress: Progress) -> int:
        """Find out how many pictures are drawn at once: as many as wanted and held, or by their time where 0."""

        def seconds(pictures: int) -> float | None:
            took = self._seconds(sample, pictures)
            progress()
            return took

        found = memory.held(seconds, wanted) if wanted else memory.worthwhile(seconds, _MOST_MEASURED)
        self.budget.most = found
        return found

    @torch.inference_mode()
    def _seconds(self, sample: Drawing, pictures: int) -> float | None:
        """How long one step of so many pictures takes."""
        encoded = prompts.encode(self.model, sample)
        strand = strands.begin(self.model, None, sample, encoded, 0, range(pictures))
        took: list[float] = []
        for _time in range(_TIMES):
            began = time.perf_counter()
            seen = tried(lambda: denoising.whole(self.model, [strand]))
            if isinstance(seen, Short):
                return None
            if self.model.device == "cuda":
                torch.cuda.synchronize()
            took.append(time.perf_counter() - began)
        return min(took)
