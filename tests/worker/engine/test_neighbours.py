# SPDX-License-Identifier: Apache-2.0
"""What is drawn beside a picture, and when it joined or left, does not change the picture."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api_scheduler import samplers
from api_scheduler.documents.drawing import Drawing
from api_scheduler.engines.base import Drawn
from api_scheduler.engines.diffusers_engine import DiffusersEngine
from tests.worker.drive import draw, nothing
from tests.worker.engine.drawings import apart, drawing, from_photo, right_half

pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers and transformers warn about each other's versions

STARTS = st.sampled_from([None, None, from_photo(0.5), from_photo(0.8, right_half()), from_photo(1.0, right_half())])
WAYS = [(name, schedule) for name in samplers.names() if name != "LMS" for schedule in samplers.schedules(name)]
WAYS += [("LMS", "Automatic")]  # it integrates numerically: half a second each
PROMPTS = st.sampled_from(["", "a red three", "a blue nine on black", "7 " * 100])


@dataclasses.dataclass(frozen=True)
class Neighbour:
    """Another job, and in which steps it comes and, if it is cancelled, goes."""

    job: Drawing
    comes: int
    goes: int | None


@st.composite
def jobs(pick: st.DrawFn) -> Drawing:
    sampler, schedule = pick(st.sampled_from(WAYS))
    seeds = tuple(pick(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3)))
    return drawing(
        pick(PROMPTS),
        sampler,
        schedule=schedule,
        seeds=seeds,
        negative_prompt=pick(PROMPTS),
        steps=pick(st.integers(1, 6)),
        cfg_scale=pick(st.sampled_from([1.0, 1.5, 4.0, 7.0, 12.0])),
        start=pick(STARTS),
        batch_size=len(seeds),
    )


NEIGHBOURS = st.lists(
    st.builds(Neighbour, jobs(), st.integers(0, 5), st.none() | st.integers(1, 7)), min_size=1, max_size=4
)


def in_company(engine: DiffusersEngine, job: Drawing, neighbours: t.Sequence[Neighbour]) -> Drawn:
    """The end of a job among others."""
    engine.begin("mine", job)
    ended: dict[object, Drawn] = {}
    step = 0
    while "mine" not in ended:
        for number, other in enumerate(neighbours):
            if other.comes == step and engine.fits(other.job):
                engine.begin(number, other.job)
            if other.goes == step:
                engine.drop(number)
        ended.update({drawn.key: drawn for drawn in engine.step(nothing)})
        step += 1
    for number in range(len(neighbours)):
        engine.drop(number)
    return ended["mine"]


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(job=jobs(), neighbours=NEIGHBOURS)
def test_a_picture_is_the_same_alone_and_in_company(
    tiny: DiffusersEngine, job: Drawing, neighbours: list[Neighbour]
) -> None:
    [alone] = draw(tiny, [job])
    together = in_company(tiny, job, neighbours)
    assert together.error is None
    assert max(apart(one, other) for one, other in zip(alone, together.pictures, strict=True)) <= 1


def test_more_pictures_than_fit_at_once_are_drawn_in_turns(tiny: DiffusersEngine) -> None:
    many = drawing(seeds=tuple(range(11)), batch_size=4, n_iter=3)
    tiny.begin("many", many)
    assert not tiny.fits(drawing())
    assert tiny.room == 0
    ended = []
    while not ended:
        ended = tiny.step(nothing)
    assert tiny.room == 8
    singles = [draw(tiny, [drawing(seeds=(seed,))])[0][0] for seed in (0, 7, 8, 10)]
    assert [apart(ended[0].pictures[seed], single) <= 1 for seed, single in zip((0, 7, 8, 10), singles, strict=True)]


def test_only_jobs_of_one_size_are_drawn_together(tiny: DiffusersEngine) -> None:
    assert tiny.fits(drawing(width=64))
    tiny.begin("square", drawing())
    assert tiny.fits(drawing("another", "Heun"))
    assert not tiny.fits(drawing(width=64))
    tiny.drop("square")
    tiny.begin("wide", drawing(width=64))
    assert tiny.room == 3  # of that size
    tiny.drop("wide")


def test_the_failure_of_one_leaves_the_others(tiny: DiffusersEngine) -> None:
    # A picture of the wrong size cannot be noised: what no parser lets through.
    wrong = drawing(start=from_photo(0.5), width=64, height=32, steps=4)
    fine = dataclasses.replace(drawing(), width=64)
    tiny.begin("wrong", wrong)
    tiny.begin("fine", fine)
    ended: dict[object, Drawn] = {}
    while len(ended) < 2:
        ended.update({drawn.key: drawn for drawn in tiny.step(nothing)})
    assert ended["wrong"].error is not None
    assert ended["fine"].error is None
    assert apart(ended["fine"].pictures[0], draw(tiny, [fine])[0][0]) <= 1


def test_a_strength_too_weak_for_a_step_gives_the_picture_back(tiny: DiffusersEngine) -> None:
    [[picture]] = draw(tiny, [drawing(start=from_photo(0.1), steps=4)])
    assert apart(picture, from_photo(0.1).picture) == 0
