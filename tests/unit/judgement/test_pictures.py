# SPDX-License-Identifier: GPL-3.0-or-later
"""The distance of pictures, and what it does to a verdict."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.comparisons import Limits
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.jobs import Job
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.pictures import (
    FARTHEST,
    Golden,
    Pictures,
    distance,
    weigh,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.verdict import judge

PASSED = judge([Job("succeeded", None, 900.0, 20, 4096, 3)] * 5, [], Limits(min_jobs=5))


def png(colour: tuple[int, int, int], side: int = 8) -> bytes:
    """A picture of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_distance_is_the_mean_absolute_difference() -> None:
    assert distance(png((10, 20, 30)), png((10, 20, 30))) == 0
    assert distance(png((10, 20, 30)), png((11, 18, 36))) == pytest.approx(3.0)
    assert distance(png((0, 0, 0)), png((255, 255, 255))) == FARTHEST
    assert distance(png((1, 1, 1), 8), png((1, 1, 1), 9)) == FARTHEST


@pytest.mark.parametrize(
    ("golden", "distances", "outcome", "words"),
    [
        ("fail", (0.0, 0.5), "pass", "2 of 2 smoke pictures compared, 0.2 of 255 apart"),
        ("fail", (60.0, 40.0), "fail", "smoke pictures are 50.0 of 255 from stable's, more than 16"),
        ("warn", (60.0, 40.0), "pass", "warning: smoke pictures are 50.0 of 255"),
        ("fail", (1.0,), "inconclusive", "1 of 2 smoke pictures compared"),
        ("warn", (), "pass", "0 of 2 smoke pictures drawn by both releases"),
    ],
)
def test_pictures_that_are_far_apart_count_as_asked(
    golden: Golden, distances: tuple[float, ...], outcome: str, words: str
) -> None:
    verdict = weigh(PASSED, Pictures(2, distances), golden, 16.0)
    assert verdict.outcome == outcome
    assert words in verdict.sentence
    assert verdict.as_dict()["pictures"]["compared"] == len(distances)


def test_what_could_not_be_compared_is_told() -> None:
    verdict = weigh(PASSED, Pictures(2, note="pip install Pillow"), "warn", 16.0)
    assert "smoke pictures not compared: pip install Pillow" in verdict.sentence
    assert verdict.outcome == "pass"
