# SPDX-License-Identifier: Apache-2.0
"""Where the card's memory runs out: smaller parts, then slices and tiles; an error only for what cannot be drawn."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from api_scheduler.engines.base import Drawn, OutOfMemory
from api_scheduler.engines.diffusers_engine import DiffusersEngine
from api_scheduler.engines.memory import held, worthwhile
from api_scheduler.models import Models
from tests.worker.drive import draw, nothing
from tests.worker.engine.drawings import apart, drawing, from_photo
from tests.worker.engine.small_card import SmallCard
from tests.worker.engine.stock import Stock

pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers and transformers warn about each other's versions

NATIVE = 8 * 8
"""Latents of one row of the tiny model's own size."""


@pytest.fixture
def engine(tiny_directory: Path) -> DiffusersEngine:
    """An engine of its own: what it learns about memory stays with it."""
    engine = DiffusersEngine(Models({"one": str(tiny_directory)}), 1, 8)
    engine.load()
    return engine


def eight() -> t.Any:
    return [drawing(seeds=(seed,), steps=3) for seed in range(8)]


def drawn_by(engine: DiffusersEngine, jobs: t.Sequence[t.Any]) -> dict[object, Drawn]:
    """The end of each job, begun together as far as they fit."""
    ended: dict[object, Drawn] = {}
    waiting = list(enumerate(jobs))
    while len(ended) < len(jobs):
        while waiting and engine.fits(waiting[0][1]):
            engine.begin(*waiting.pop(0))
        ended.update({drawn.key: drawn for drawn in engine.step(nothing)})
    return ended


def test_warm_up_finds_how_many_pictures_the_memory_holds(engine: DiffusersEngine) -> None:
    SmallCard(unet=10 * NATIVE).put_into(engine)
    engine.warm_up(nothing)
    assert engine.room == 4  # of two rows each; eight pictures did not fit


def test_a_step_that_does_not_fit_is_taken_in_parts_and_no_picture_changes(
    engine: DiffusersEngine, tiny: DiffusersEngine
) -> None:
    engine.warm_up(nothing)
    assert engine.room == 8
    card = SmallCard(unet=7 * NATIVE, autoencoder=3 * NATIVE)
    card.put_into(engine)
    ended = drawn_by(engine, eight())
    for number, [alone] in enumerate(draw(tiny, eight())):
        assert apart(ended[number].pictures[0], alone) <= 1
    assert card.refused == 2 + 2  # of 16 rows and of 8, of 8 pictures and of 4: then it is known
    assert engine.room == 2
    drawn_by(engine, eight())
    assert card.refused == 4


def test_larger_pictures_are_drawn_fewer_at_once(engine: DiffusersEngine) -> None:
    engine.warm_up(nothing)
    card = SmallCard()
    card.put_into(engine)
    draw(engine, [drawing(seeds=tuple(range(5)), width=64, height=64, steps=1)])
    assert card.largest == 2 * 2 * 4 * NATIVE  # two of them, as much as eight of the model's own size


def test_the_last_resorts_are_sliced_attention_and_tiles(engine: DiffusersEngine, tiny_directory: Path) -> None:
    large = drawing(width=64, height=64, steps=2)
    engine.warm_up(nothing)
    [[whole]] = draw(engine, [large])
    in_slices, in_tiles = SmallCard(unet=3 * NATIVE, unet_in_slices=4 * NATIVE), SmallCard(autoencoder=2 * NATIVE)
    take_out = in_slices.put_into(engine)
    assert apart(draw(engine, [large])[0][0], whole) <= 1
    take_out()
    in_tiles.put_into(engine)
    tiled = Stock(tiny_directory)
    tiled.in_tiles()
    assert apart(draw(engine, [large])[0][0], tiled.draw(large)[0]) <= 1
    assert in_slices.refused and in_tiles.refused
    assert apart(tiled.draw(large)[0], whole) > 1  # so large a picture shows its tiles


def test_what_no_resort_helps_is_out_of_memory_and_the_worker_draws_on(engine: DiffusersEngine) -> None:
    engine.warm_up(nothing)
    take_out = SmallCard(unet=NATIVE // 2).put_into(engine)
    ended = drawn_by(engine, [drawing(), drawing(seeds=(2,))])
    assert all(isinstance(one.error, OutOfMemory) for one in ended.values())
    assert "64 latents in the UNet" in str(ended[0].error)
    take_out()
    assert draw(engine, [drawing()])[0][0].shape == (32, 32, 3)


def test_a_picture_that_the_autoencoder_cannot_hold_is_out_of_memory(engine: DiffusersEngine) -> None:
    engine.warm_up(nothing)
    SmallCard(autoencoder=NATIVE // 2).put_into(engine)
    ended = drawn_by(engine, [drawing(start=None, steps=1)])
    assert isinstance(ended[0].error, OutOfMemory)
    begun = drawing(start=from_photo(0.6))
    assert isinstance(drawn_by(engine, [begun])[0].error, OutOfMemory)


def test_other_errors_are_not_taken_for_memory(engine: DiffusersEngine) -> None:
    def broken(_unet: t.Any, _given: t.Any) -> None:
        raise RuntimeError("device-side assert triggered")

    engine.session.model.pipe.unet.register_forward_pre_hook(broken)
    engine.begin("one", drawing())
    with pytest.raises(RuntimeError, match="device-side"):
        engine.step(nothing)


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        ({1: 10, 2: 6, 4: 5.5, 8: 3, 16: 2.9}, 8),
        ({1: 10, 2: 9.9, 4: 9.8, 8: 9.7, 16: 9.6}, 1),
        ({1: 10, 2: 5}, 2),
        ({1: 4000, 2: 100}, 1),
        ({}, 1),
    ],
    ids=["it pays up to 8", "it does not pay", "memory ends at 2", "a step takes too long", "not even one"],
)
def test_the_batch_size_is_the_smallest_that_draws_about_as_fast_as_the_best(
    each: dict[int, float], expected: int
) -> None:
    assert worthwhile(lambda size: each[size] * size / 1000 if size in each else None, 16) == expected


def test_a_batch_size_that_is_set_is_halved_until_it_is_held() -> None:
    assert held(lambda size: None if size > 5 else 1.0, 12) == 3


def test_each_model_is_measured_once(tiny_directory: Path, xl_directory: Path) -> None:
    engine = DiffusersEngine(Models({"one": str(tiny_directory), "xl": str(xl_directory)}), 1, 8)
    engine.load()
    engine.warm_up(nothing)
    picture = draw(engine, [drawing(model="xl")])[0][0]
    assert engine.room == 8
    engine.begin("one", drawing())
    assert not engine.fits(drawing(model="xl"))
    engine.drop("one")
    card = SmallCard()
    draw(engine, [drawing(model="xl")])
    card.put_into(engine)
    assert apart(draw(engine, [drawing(model="xl")])[0][0], picture) == 0
    assert card.largest == 2 * NATIVE
