# SPDX-License-Identifier: Apache-2.0
"""The thread that draws: whatever an engine does, each job ends once, and a hang shows."""

from __future__ import annotations

import collections
import dataclasses
import threading
import typing as t
from concurrent.futures import CancelledError

import numpy as np
import prometheus_client as prometheus
import pytest

from api_scheduler import samplers
from api_scheduler.documents.drawing import Drawing
from api_scheduler.drawing import DrawFailed, DrawThread
from api_scheduler.engines.base import Drawn, Picture, Progress
from api_scheduler.metrics import Together
from api_scheduler.progress import Progress as Signs
from tests.worker.moved_clock import MovedClock

PICTURE: Picture = np.zeros((8, 8, 3), dtype=np.uint8)


def job(prompt: str, side: int = 8, steps: int = 1) -> Drawing:
    return Drawing(prompt, "", (1,), steps, side, side, 7.0, samplers.find(samplers.DEFAULT, None), 1, 1)


class Scripted:
    """An engine that does to each job what its prompt says; jobs of one size are drawn together."""

    name = "scripted"
    native_side = 8

    def __init__(self) -> None:
        self.inside = threading.Event()
        self.go_on = threading.Event()
        self.in_work: dict[object, Drawing] = {}
        self.between: t.Callable[[], None] = lambda: None
        """Called after each step."""
        self.order: list[str] = []
        self.asked_by: set[str] = set()
        self.unusable: BaseException | None = None
        """What loading ends with."""

    @property
    def room(self) -> int:
        self.asked_by.add(threading.current_thread().name)
        return 3 - len(self.in_work)

    def load(self) -> None:
        """Nothing, unless it is unusable."""
        if self.unusable is not None:
            raise self.unusable

    def warm_up(self, progress: Progress) -> Picture:
        return PICTURE

    def fits(self, job: Drawing) -> bool:
        return all(one.width == job.width for one in self.in_work.values())

    def begin(self, key: object, job: Drawing) -> None:
        self.order.append(job.prompt)
        if job.prompt == "begin fails":
            raise ValueError("no")
        if job.prompt == "begin exits":
            raise SystemExit("no")
        if job.prompt == "begin hangs":
            self._stay()
        self.in_work[key] = job

    def step(self, progress: Progress) -> list[Drawn]:
        prompts = {one.prompt for one in self.in_work.values()}
        if "step hangs" in prompts:
            self._stay()
        if "step fails" in prompts:
            raise MemoryError("all of it")
        if "step exits" in prompts:
            raise SystemExit("all of it")
        self.between()
        left = {key: dataclasses.replace(one, steps=one.steps - 1) for key, one in self.in_work.items()}
        self.in_work = {key: one for key, one in left.items() if one.steps > 0}
        found = [(key, one) for key, one in left.items() if one.steps <= 0]
        return [
            Drawn(key, error=ValueError("mine")) if one.prompt == "fails" else Drawn(key, [PICTURE])
            for key, one in found
        ]

    def drop(self, key: object) -> None:
        self.in_work.pop(key, None)

    def _stay(self) -> None:
        self.inside.set()
        assert self.go_on.wait(90)


@dataclasses.dataclass
class Bench:
    clock: MovedClock
    engine: Scripted
    thread: DrawThread
    told: list[tuple[float, t.Mapping[int, int]]] = dataclasses.field(default_factory=list)


@pytest.fixture
def bench() -> t.Iterator[Bench]:
    clock, engine, told = MovedClock(), Scripted(), []
    thread = DrawThread(engine, Signs(clock, 10.0), clock, drew=lambda *one: told.append(one))
    thread.start()
    yield Bench(clock, engine, thread, told)
    engine.go_on.set()
    thread.stop()


@pytest.mark.parametrize("where", ["begin hangs", "step hangs"])
def test_a_hang_shows_wherever_the_engine_is(bench: Bench, where: str) -> None:
    ongoing = bench.thread.draw(job(where))
    assert bench.engine.inside.wait(90)
    assert not bench.thread.progress.hangs()
    bench.clock.seconds += 11
    assert bench.thread.progress.hangs()
    bench.engine.go_on.set()
    assert ongoing.future.result(30).pictures == [PICTURE]


def test_a_job_that_the_engine_has_taken_in_is_not_withdrawn_and_one_in_the_line_is_never_begun(bench: Bench) -> None:
    taken, waiting = bench.thread.draw(job("begin hangs")), bench.thread.draw(job("waits"))
    assert bench.engine.inside.wait(90)
    assert taken.began is None
    assert (taken.withdraw(), waiting.withdraw()) == (False, True)
    bench.engine.go_on.set()
    assert taken.future.result(30).pictures == [PICTURE]
    bench.thread.draw(job("after")).future.result(30)
    assert bench.engine.order == ["begin hangs", "after"]


def test_an_idle_thread_does_not_hang(bench: Bench) -> None:
    bench.thread.draw(job("a")).future.result(30)
    bench.thread.load().result(30)  # comes after the thread has seen that there is nothing left to draw
    bench.clock.seconds += 1000
    assert not bench.thread.progress.hangs()


@pytest.mark.parametrize("how", ["begin fails", "step fails", "fails", "begin exits", "step exits"])
def test_a_job_that_fails_leaves_the_thread_to_the_next(bench: Bench, how: str) -> None:
    with pytest.raises(DrawFailed):
        bench.thread.draw(job(how)).future.result(30)
    assert bench.thread.draw(job("next")).future.result(30).pictures == [PICTURE]


@pytest.mark.parametrize("error", [ValueError("no model"), SystemExit("no model")])
def test_an_engine_that_does_not_load_says_so_and_the_thread_goes_on(bench: Bench, error: BaseException) -> None:
    bench.engine.unusable = error
    with pytest.raises(type(error), match="no model"):
        bench.thread.load().result(30)
    assert bench.thread.draw(job("next")).future.result(30).pictures == [PICTURE]


def test_a_failed_step_ends_all_that_were_in_it_and_no_others(bench: Bench) -> None:
    first = bench.thread.draw(job("begin hangs"))
    assert bench.engine.inside.wait(90)
    together = [bench.thread.draw(job("step fails")), bench.thread.draw(job("beside"))]
    apart = bench.thread.draw(job("apart", 16))
    bench.engine.go_on.set()
    first.future.result(30)
    for ongoing in together:
        with pytest.raises(DrawFailed, match="all of it"):
            ongoing.future.result(30)
    assert apart.future.result(30).pictures == [PICTURE]


def test_what_is_cancelled_is_dropped(bench: Bench) -> None:
    blocker = bench.thread.draw(job("begin hangs"))
    assert bench.engine.inside.wait(90)
    waiting = bench.thread.draw(job("never"))
    assert waiting.future.cancel()
    bench.engine.go_on.set()
    blocker.future.result(30)
    bench.thread.draw(job("next")).future.result(30)
    assert "never" not in bench.engine.order
    with pytest.raises(CancelledError):
        waiting.future.result(0)


def test_a_job_that_does_not_fit_is_passed_over_once_only(bench: Bench) -> None:
    more = [job(f"later {number}", 8, 2) for number in range(20)]
    drawn = []
    bench.engine.between = lambda: drawn.append(bench.thread.draw(more.pop(0))) if more else None
    first = [bench.thread.draw(job("first", 8, 2)), other := bench.thread.draw(job("other", 16, 2))]
    other.future.result(30)
    assert bench.engine.order.index("other") <= 4, bench.engine.order
    for ongoing in [*first, *drawn]:
        ongoing.future.result(30)


def test_the_engine_is_asked_for_its_room_on_its_own_thread_only(bench: Bench) -> None:
    bench.thread.load().result(30)
    blocker = bench.thread.draw(job("step hangs", 8, 2))
    assert bench.engine.inside.wait(90)
    assert bench.thread.room() == 2
    bench.engine.go_on.set()
    blocker.future.result(30)
    bench.thread.load().result(30)
    assert bench.thread.room() == 3
    assert bench.engine.asked_by == {"draw"}


def test_what_was_drawn_is_told_once_a_second_and_when_there_is_nothing_left(bench: Bench) -> None:
    def pass_time() -> None:
        bench.clock.seconds += 0.3

    bench.engine.between = pass_time
    held = bench.thread.draw(job("begin hangs", steps=6))
    assert bench.engine.inside.wait(90)
    both = [held, bench.thread.draw(job("beside", steps=2))]
    bench.engine.go_on.set()
    for ongoing in both:
        ongoing.future.result(30)
    bench.thread.load().result(30)
    steps = [told for _seconds, told in bench.told]
    assert sum(steps, collections.Counter()) == {2: 2, 1: 4}
    assert sum(seconds for seconds, _told in bench.told) == pytest.approx(1.8) == bench.thread.busy_seconds
    assert len(bench.told) == 2


def test_the_histogram_of_pictures_is_the_one_that_its_library_makes() -> None:
    page, own, library = prometheus.CollectorRegistry(), Together(), prometheus.CollectorRegistry()
    page.register(own)
    buckets = (1, 2, 4, 8, 16, 32)
    expected = prometheus.Histogram(
        "sd_batch_pictures", "Pictures drawn together in one step", registry=library, buckets=buckets
    )
    for steps in ({1: 3, 2: 1, 5: 2}, {}, {1: 1, 32: 1, 40: 2}):
        own.add(steps)
        for pictures in collections.Counter(steps).elements():
            expected.observe(pictures)
    lines = [line for line in prometheus.generate_latest(library).splitlines() if b"_created" not in line]
    assert prometheus.generate_latest(page).splitlines() == lines
