# SPDX-License-Identifier: Apache-2.0
"""Draws digits with a trained model and counts how many the independent reader recognises.

`python -m training.measure DIRECTORY` prints one line for each way of drawing; docs/digits-model.md records them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from training.captions import DIGIT_WORDS, palettes
from training.library import Pipeline, diffusers
from training.reader import read_digits

SAMPLERS = {
    "DPM++ 2M": "DPMSolverMultistepScheduler",
    "Euler a": "EulerAncestralDiscreteScheduler",
    "Euler": "EulerDiscreteScheduler",
    "DDIM": "DDIMScheduler",
}


@dataclass(frozen=True)
class Way:
    """How pictures are drawn."""

    sampler: str
    steps: int
    guidance: float


@dataclass(frozen=True)
class Order:
    """One picture to draw."""

    prompt: str
    digit: int
    seed: int


WAYS = (
    *(Way("DPM++ 2M", steps, 5.0) for steps in (6, 8, 10, 12, 20)),
    *(Way("DPM++ 2M", 10, guidance) for guidance in (2.0, 3.0, 7.0, 9.0)),
    *(Way("Euler a", steps, 5.0) for steps in (10, 12, 20)),
    *(Way("Euler", steps, 5.0) for steps in (10, 12, 20)),
    *(Way("DDIM", 20, guidance) for guidance in (3.0, 5.0, 7.0)),
)


def orders(each: int, first_seed: int = 1) -> list[Order]:
    """For every digit that many pictures, in turn in all colours, on all backgrounds, in three ways of asking."""
    return [_order(number, first_seed) for number in range(10 * each)]


def _order(number: int, first_seed: int) -> Order:
    digit = number % 10
    # 7 has no factor in common with the number of palettes, so every digit meets every palette in time.
    colour, background = palettes()[(number // 10 + 7 * digit) % len(palettes())]
    forms = (
        f"a {colour} {DIGIT_WORDS[digit]}",
        f"the {colour} digit {digit} on a {background} background",
        f"a photo of a {colour} {DIGIT_WORDS[digit]} on a {background} background",
    )
    return Order(forms[(number // 10 + digit) % len(forms)], digit, first_seed + number)


def load(directory: Path) -> Pipeline:
    """The model as a plain pipeline in single precision, from the directory alone."""
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        directory, torch_dtype=torch.float32, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw(pipeline: Pipeline, way: Way, wanted: Sequence[Order], batch: int = 25) -> list[Image.Image]:
    """The pictures, each from its own seed, a batch at a time; the pipeline keeps its own scheduler."""
    own = pipeline.scheduler
    pipeline.scheduler = getattr(diffusers, SAMPLERS[way.sampler]).from_config(own.config, clip_sample=False)
    try:
        parts = [_draw(pipeline, way, wanted[start : start + batch]) for start in range(0, len(wanted), batch)]
    finally:
        pipeline.scheduler = own
    return [picture for part in parts for picture in part]


def _draw(pipeline: Pipeline, way: Way, wanted: Sequence[Order]) -> list[Image.Image]:
    drawn = pipeline(
        [order.prompt for order in wanted],
        num_inference_steps=way.steps,
        guidance_scale=way.guidance,
        generator=[torch.Generator().manual_seed(order.seed) for order in wanted],
    )
    return list(drawn.images)


def confirmed(pictures: Sequence[Image.Image], wanted: Sequence[Order]) -> int:
    """How many pictures are read as the digit asked for."""
    read = read_digits(pictures)
    return sum(digit == order.digit for digit, order in zip(read, wanted, strict=True))


def main() -> None:
    """Print the share of recognised digits for every way of drawing."""
    parser = argparse.ArgumentParser(prog="python -m training.measure", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--each", type=int, default=20, help="pictures of each digit (default 20)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pipeline, wanted = load(arguments.directory), orders(arguments.each)
    print("| sampler | steps | guidance | read as asked | share | CPU ms a picture |\n|---|---|---|---|---|---|")
    for way in WAYS:
        began = time.process_time()
        pictures = draw(pipeline, way, wanted)
        cost = 1000 * (time.process_time() - began) / len(wanted)
        right = confirmed(pictures, wanted)
        share = f"{right / len(wanted):.1%}"
        print(
            f"| {way.sampler} | {way.steps} | {way.guidance:g} | {right}/{len(wanted)} | {share} | {cost:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
