# SPDX-License-Identifier: Apache-2.0
"""Drawn together with others, every picture is the one that diffusers' own pipelines draw alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_scheduler import samplers
from api_scheduler.engines.diffusers_engine import DiffusersEngine
from tests.worker import tiny_model
from tests.worker.drive import draw
from tests.worker.engine.conftest import DIGITS, started
from tests.worker.engine.drawings import apart, drawing, from_photo, right_half
from tests.worker.engine.stock import Stock

pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers and transformers warn about each other's versions


@pytest.fixture(scope="module")
def stock() -> Stock:
    return Stock(DIGITS)


@pytest.fixture(scope="module")
def stock_xl(xl_directory: Path) -> Stock:
    return Stock(xl_directory)


def last_schedule(sampler: str) -> str:
    """One of the schedules that are the sampler's own: all of them are drawn with elsewhere."""
    return samplers.schedules(sampler)[2 + len(sampler) % (len(samplers.schedules(sampler)) - 2)]


@pytest.mark.parametrize("sampler", samplers.names())
def test_text_picture_and_mask_in_one_batch(digits: DiffusersEngine, stock: Stock, sampler: str) -> None:
    schedule = last_schedule(sampler)
    jobs = [
        drawing(sampler=sampler, seeds=(1, 2), batch_size=2),
        drawing("a blue nine", sampler, schedule=schedule, steps=5, cfg_scale=1.0, negative_prompt="ugly"),
        drawing("a green 4", sampler, schedule=schedule, seeds=(5,), steps=6, start=from_photo(0.6)),
        drawing("a white 8", sampler, seeds=(6,), steps=5, start=from_photo(0.7, right_half())),
        drawing("a white 8", sampler, seeds=(7,), steps=3, start=from_photo(1.0, right_half())),
    ]
    for job, pictures in zip(jobs, draw(digits, jobs), strict=True):
        differences = [apart(mine, theirs) for mine, theirs in zip(pictures, stock.draw(job), strict=True)]
        assert max(differences) <= 1, (job, differences)


@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ 2M", "Heun"])
def test_sdxl_in_one_batch(xl: DiffusersEngine, stock_xl: Stock, sampler: str) -> None:
    jobs = [
        drawing(sampler=sampler, seeds=(1, 2), batch_size=2),
        drawing("a blue nine", sampler, steps=5, negative_prompt="ugly"),
        drawing("a blue nine", sampler, steps=5, cfg_scale=1.0),
        drawing("a green 4", sampler, steps=6, start=from_photo(0.6)),
        drawing("a white 8", sampler, steps=5, start=from_photo(0.7, right_half())),
    ]
    for job, pictures in zip(jobs, draw(xl, jobs), strict=True):
        differences = [apart(mine, theirs) for mine, theirs in zip(pictures, stock_xl.draw(job), strict=True)]
        assert max(differences) <= 1, (job, differences)


@pytest.mark.parametrize(
    ("sampler", "schedule"), [("DPM++ 2M", "Beta"), ("DPM++ SDE", "Beta"), ("UniPC", "Beta"), ("LCM", None)]
)
def test_many_steps(tiny: DiffusersEngine, sampler: str, schedule: str | None) -> None:
    # Beta rounds two of 60 timesteps to the same number, and LCM was distilled at 50: diffusers' pipelines fail here.
    [[picture]] = draw(tiny, [drawing(sampler=sampler, schedule=schedule, steps=60)])
    assert picture.shape == (32, 32, 3)


def test_a_unet_made_for_inpaint(tmp_path: Path) -> None:
    directory = tiny_model.write(tmp_path, channels=9)
    engine, stock = started(directory), Stock(directory)
    jobs = [
        drawing("a white 8", sampler, seeds=(6,), steps=4, start=from_photo(strength, right_half()))
        for sampler, strength in (("Euler a", 1.0), ("DPM++ 2M", 0.7), ("DDIM", 1.0))
    ]
    for job, [picture] in zip(jobs, draw(engine, jobs), strict=True):
        assert apart(picture, stock.draw(job)[0]) <= 1
    # Such a model also draws without a mask, which the pipelines refuse: everything is to be drawn anew.
    assert draw(engine, [drawing()])[0][0].shape == (32, 32, 3)
    assert draw(engine, [drawing(start=from_photo(0.6))])[0][0].shape == (32, 32, 3)
