# SPDX-License-Identifier: Apache-2.0
"""The engine without a model: four plain colours from prompt and seed, for tests of everything but pictures."""

from __future__ import annotations

import hashlib
import threading
import typing as t

import numpy as np

from api_scheduler import samplers
from api_scheduler.clock import Clock
from api_scheduler.documents.drawing import Drawing
from api_scheduler.engines.base import Picture, Progress, checked


class NoopEngine:
    """Takes a set time for each job, spread over its steps, and needs no torch."""

    name = "noop"
    native_side = 64

    def __init__(self, job_ms: float, clock: Clock) -> None:
        self._job_ms = job_ms
        self._clock = clock
        self._never = threading.Event()

    def load(self) -> None:
        """Nothing to load."""

    def warm_up(self, progress: Progress) -> Picture:
        """One picture, at once: the set time is a job's."""
        progress()
        side, sampler = self.native_side, samplers.find(samplers.DEFAULT, None)
        return _quarters(Drawing("warm-up", "", (0,), 1, side, side, 7.0, sampler, 1, 1), 0)

    def draw(self, jobs: t.Sequence[Drawing], progress: Progress) -> list[list[Picture]]:
        """Wait for the set time, then colour the pictures."""
        for job in jobs:
            for _step in range(job.steps):
                if self._job_ms:
                    self._clock.wait(self._never, self._job_ms / 1000 / job.steps)
                progress()
        return [[_quarters(job, seed) for seed in job.seeds] for job in jobs]


def _quarters(job: Drawing, seed: int) -> Picture:
    digest = hashlib.sha256(f"{job.prompt}\n{job.negative_prompt}\n{seed}".encode()).digest()
    colours = np.frombuffer(digest[:12], dtype=np.uint8).reshape(2, 2, 3)
    picture = np.repeat(np.repeat(colours, -(-job.height // 2), axis=0), -(-job.width // 2), axis=1)
    return checked(np.ascontiguousarray(picture[: job.height, : job.width]))
