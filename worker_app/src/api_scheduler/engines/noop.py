# SPDX-License-Identifier: Apache-2.0
"""The engine without a model: four plain colours from prompt and seed, for tests of everything but pictures."""

from __future__ import annotations

import dataclasses
import hashlib
import threading

import numpy as np

from api_scheduler import samplers
from api_scheduler.clock import Clock
from api_scheduler.documents.drawing import Drawing
from api_scheduler.engines.base import Drawn, Picture, Progress, checked


@dataclasses.dataclass
class _InWork:
    job: Drawing
    left: int
    """Steps."""


class NoopEngine:
    """Takes a set time for each job, spread over its steps, and needs no torch.

    Jobs in work share every step, and their times add up: it behaves like a card that one job already fills, which is
    what the smaller ones do, so that a job's share of the time does not depend on its company.
    """

    name = "noop"
    native_side = 64

    def __init__(self, job_ms: float, clock: Clock, at_once: int = 8) -> None:
        self._job_ms = job_ms
        self._clock = clock
        self._at_once = at_once
        self._never = threading.Event()
        self._in_work: dict[object, _InWork] = {}

    @property
    def room(self) -> int:
        """How many more jobs could be begun now."""
        return max(0, self._at_once - len(self._in_work))

    def load(self) -> None:
        """Nothing to load."""

    def warm_up(self, progress: Progress) -> Picture:
        """One picture, at once: the set time is a job's."""
        progress()
        side, sampler = self.native_side, samplers.find(samplers.DEFAULT, None)
        return _quarters(Drawing("warm-up", "", (0,), 1, side, side, 7.0, sampler, 1, 1), 0)

    def fits(self, job: Drawing) -> bool:
        """Jobs of one size are drawn together, as real engines do."""
        sizes = {(one.job.width, one.job.height) for one in self._in_work.values()}
        return not sizes or (self.room > 0 and sizes == {(job.width, job.height)})

    def begin(self, key: object, job: Drawing) -> None:
        """Take a job in."""
        self._in_work[key] = _InWork(job, job.all_steps)

    def step(self, progress: Progress) -> list[Drawn]:
        """Wait for the time that a step of each takes, then colour what is done."""
        if self._job_ms:
            seconds = sum(self._job_ms / 1000 / one.job.all_steps for one in self._in_work.values())
            self._clock.wait(self._never, seconds)
        progress()
        for one in self._in_work.values():
            one.left -= 1
        ended = [key for key, one in self._in_work.items() if one.left <= 0]
        return [_coloured(key, self._in_work.pop(key).job) for key in ended]

    def drop(self, key: object) -> None:
        """Forget a job."""
        self._in_work.pop(key, None)


def _coloured(key: object, job: Drawing) -> Drawn:
    return Drawn(key, [_quarters(job, seed) for seed in job.seeds])


def _quarters(job: Drawing, seed: int) -> Picture:
    digest = hashlib.sha256(f"{job.prompt}\n{job.negative_prompt}\n{seed}".encode()).digest()
    colours = np.frombuffer(digest[:12], dtype=np.uint8).reshape(2, 2, 3)
    picture = np.repeat(np.repeat(colours, -(-job.height // 2), axis=0), -(-job.width // 2), axis=1)
    return checked(np.ascontiguousarray(picture[: job.height, : job.width]))
