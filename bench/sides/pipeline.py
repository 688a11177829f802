# SPDX-License-Identifier: GPL-3.0-or-later
"""The stock diffusers pipeline on the digits model: what the naive loop and every peer draw with.

Runs in the worker's environment. How long it has drawn is written to the file BENCH_STATS after every call.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
import typing as t
from pathlib import Path

STEPS, GUIDANCE, SIDE = 8, 4.0, 32


class Pipeline:
    """One pipeline, one thread."""

    def __init__(self) -> None:
        import torch
        from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline
        from diffusers.utils import logging

        logging.disable_progress_bar()
        logging.set_verbosity_error()
        torch.set_num_threads(1)
        self._torch = torch
        self._pipe = StableDiffusionPipeline.from_pretrained(
            os.environ["BENCH_MODEL"],
            dtype=torch.float32,
            local_files_only=True,
            safety_checker=None,
            requires_safety_checker=False,
        )
        self._pipe.set_progress_bar_config(disable=True)
        self._schedule = DPMSolverMultistepScheduler
        self._config = self._pipe.scheduler.config
        self._stats = Path(os.environ["BENCH_STATS"])
        self.busy, self.drawn = 0.0, 0

    def draw(self, payloads: t.Sequence[t.Mapping[str, t.Any]]) -> list[t.Any]:
        """The pictures of these payloads, drawn as one batch."""
        began = time.perf_counter()
        self._pipe.scheduler = self._schedule.from_config(self._config, clip_sample=False)
        output = self._pipe(
            prompt=[str(payload["prompt"]) for payload in payloads],
            negative_prompt=[""] * len(payloads),
            width=SIDE,
            height=SIDE,
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            generator=[self._torch.Generator("cpu").manual_seed(int(payload["seed"])) for payload in payloads],
        )
        self.busy += time.perf_counter() - began
        self.drawn += len(payloads)
        beside = self._stats.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps({"busy": self.busy, "drawn": self.drawn}))
        beside.replace(self._stats)
        return list(output.images)


def png(picture: t.Any) -> bytes:
    """The file of a picture, compressed as the worker's are."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def bare(count: int) -> dict[str, float]:
    """Nothing but the pipeline, one picture a call."""
    pipeline = Pipeline()
    for seed in range(5):
        pipeline.draw([{"prompt": "a red three", "seed": seed}])
    before, began = pipeline.busy, time.perf_counter()
    for seed in range(count):
        pipeline.draw([{"prompt": "a red three", "seed": seed}])
    return {"jobs": count, "seconds": time.perf_counter() - began, "busy": pipeline.busy - before}


if __name__ == "__main__":
    print(json.dumps(bare(int(sys.argv[1]))), flush=True)
