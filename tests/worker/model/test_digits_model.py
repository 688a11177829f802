# SPDX-License-Identifier: Apache-2.0
"""The committed model is the one whose digests are recorded, and it draws the digits it is asked for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from training.export import SUMS, sums
from training.library import Pipeline
from training.measure import Way, confirmed, draw, orders

DPM = Way("DPM++ 2M", 10, 5.0)
MEGABYTE = 1_000_000


def test_files_have_the_recorded_digests(directory: Path) -> None:
    assert sums(directory) == (directory / SUMS).read_text(encoding="utf-8")


def test_sha256sum_accepts_the_digests(directory: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", SUMS], cwd=directory, check=True)


def test_weights_are_small_and_never_pickled(directory: Path) -> None:
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".txt", ".md", ""}
    assert sum(path.stat().st_size for path in files) < 7 * MEGABYTE


def test_pictures_are_32_by_32_unless_asked_otherwise(pipeline: Pipeline) -> None:
    [picture] = draw(pipeline, DPM, orders(1)[:1])
    assert picture.size == (32, 32)


def test_at_least_95_percent_of_120_digits_are_read_as_asked(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = orders(12)
    right = confirmed(draw(pipeline, DPM, wanted), wanted)
    with capsys.disabled():
        print(f"\ndigits model: {right} of {len(wanted)} digits read as asked ({right / len(wanted):.1%})")
    assert right >= 0.95 * len(wanted)


@pytest.mark.parametrize(
    "way",
    [
        Way("DPM++ 2M", 8, 3.0),
        Way("DPM++ 2M", 12, 7.0),
        Way("Euler a", 12, 5.0),
        Way("Euler", 12, 5.0),
        Way("DDIM", 20, 7.0),
    ],
    ids=str,
)
def test_every_usual_sampler_draws_readable_digits(pipeline: Pipeline, way: Way) -> None:
    wanted = orders(3, first_seed=5000)
    assert confirmed(draw(pipeline, way, wanted), wanted) >= 0.9 * len(wanted)


def test_same_seed_same_picture_and_another_seed_another(pipeline: Pipeline) -> None:
    wanted = orders(1)[:4]
    first, again = draw(pipeline, DPM, wanted), draw(pipeline, DPM, wanted)
    other = draw(pipeline, DPM, orders(1, first_seed=900)[:4])
    assert [picture.tobytes() for picture in first] == [picture.tobytes() for picture in again]
    assert all(one.tobytes() != two.tobytes() for one, two in zip(first, other, strict=True))


def test_words_without_meaning_do_not_change_the_digit(pipeline: Pipeline) -> None:
    prompts = ["a beautiful red three, masterpiece", "THE BLUE DIGIT 7 ON A WHITE BACKGROUND", "seven, trending"]
    generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
    negative = ["blurry, low quality"] * 3
    pictures = pipeline(prompts, negative_prompt=negative, num_inference_steps=10, generator=generators).images
    wanted = [order for digit in (3, 7, 7) for order in orders(1) if order.digit == digit]
    assert confirmed(pictures, wanted) == 3


@pytest.mark.parametrize(
    ("background", "expected"), [("white", (245, 245, 245)), ("black", (12, 12, 12)), ("gray", (128, 128, 128))]
)
def test_the_background_is_the_one_asked_for(
    pipeline: Pipeline, background: str, expected: tuple[int, int, int]
) -> None:
    generators = [torch.Generator().manual_seed(seed) for seed in range(4)]
    prompts = [f"a red {word} on a {background} background" for word in ("one", "two", "three", "four")]
    pictures = pipeline(prompts, num_inference_steps=10, guidance_scale=5.0, generator=generators).images
    edges = [np.asarray(picture)[:, [0, 1, -2, -1]].reshape(-1, 3) for picture in pictures]
    assert all(np.abs(np.median(edge, axis=0) - expected).max() < 40 for edge in edges)
