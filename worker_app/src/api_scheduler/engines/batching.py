# SPDX-License-Identifier: Apache-2.0
"""The jobs in work: their pictures are drawn together step by step, and others join between steps."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

import torch

from api_scheduler.documents.drawing import Drawing, Start
from api_scheduler.engines import denoising, images, prompts, schedules, strands
from api_scheduler.engines.base import Drawn, OutOfMemory, Picture, Progress
from api_scheduler.engines.loading import Model
from api_scheduler.engines.memory import Budget, Short, tried
from api_scheduler.engines.prompts import Prompts
from api_scheduler.engines.strands import Strand


@dataclasses.dataclass(eq=False)
class _Task:
    """A job with its pictures as far as they are drawn."""

    key: object
    job: Drawing
    begun: int = 0
    """How many of its pictures are begun; the others wait for room."""
    prompts: Prompts | None = None
    pictures: dict[int, Picture] = dataclasses.field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """How many of its pictures are not begun."""
        return len(self.job.seeds) - self.begun

    @property
    def done(self) -> bool:
        """Whether all of them are drawn."""
        return len(self.pictures) == len(self.job.seeds)

    def ended(self) -> Drawn:
        """All of them, in the order of the seeds."""
        return Drawn(self.key, [self.pictures[number] for number in range(len(self.job.seeds))])


class Batch:
    """What one model is drawing now: pictures of one size."""

    def __init__(self, model: Model, budget: Budget) -> None:
        self._model = model
        self._budget = budget
        self._tasks: dict[object, _Task] = {}
        self._strands: list[Strand] = []

    def __len__(self) -> int:
        return len(self._tasks)

    def fits(self, job: Drawing) -> bool:
        """Whether a job has the size that is drawn now, and there is room for some of its pictures."""
        alike = all((task.job.width, task.job.height) == (job.width, job.height) for task in self._tasks.values())
        return alike and self.left(job) > 0

    def left(self, sample: Drawing) -> int:
        """How many more pictures could be begun now: of the size in work, or of the sample's where nothing is."""
        job = next((task.job for task in self._tasks.values()), sample)
        return max(0, self._free(job) - sum(task.waiting for task in self._tasks.values()))

    def begin(self, key: object, job: Drawing) -> None:
        """Take a job in; its pictures begin in the next steps."""
        self._tasks[key] = _Task(key, job)

    def drop(self, key: object) -> None:
        """Forget a job."""
        task = self._tasks.pop(key, None)
        self._strands = [strand for strand in self._strands if strand.task is not task]

    @torch.inference_mode()
    def step(self, progress: Progress) -> list[Drawn]:
        """One timestep of all that is begun; the jobs that came to their end."""
        ended = self._admit(progress)
        if self._strands:
            ended += self._denoise()
            progress()
            ended += self._finish(progress)
        return ended

    # -- beginning --------------------------------------------------------------------------------------------------

    def _admit(self, progress: Progress) -> list[Drawn]:
        ended: list[Drawn] = []
        for task in list(self._tasks.values()):
            while task.waiting:
                count = min(task.waiting, self._free(task.job))
                if count < 1:
                    return ended
                try:
                    held_up = self._start(task, count)
                except Exception as error:  # noqa: BLE001 whatever ends a job is its end and no other's
                    ended.append(self._fail(task, error))
                    break
                if held_up:
                    return ended
                progress()
            if task.done:
                ended.append(self._end(task))
        return ended

    def _free(self, job: Drawing) -> int:
        return self._budget.pictures(job.width * job.height) - sum(strand.pictures for strand in self._strands)

    def _start(self, task: _Task, count: int) -> bool:
        """Begin so many pictures of a job; True where the memory holds them only once the others are done."""
        job, first = task.job, task.begun
        if not schedules.steps_of(job):
            # So weak a strength takes no step: what is asked for is the picture itself.
            task.pictures.update({number: _unchanged(job) for number in range(first, first + count)})
            task.begun += count
            return False
        begun = tried(functools.partial(self._strand, task, count))
        if isinstance(begun, Short) and self._strands:
            return True
        if isinstance(begun, Short):
            raise OutOfMemory(begun.message)
        self._strands.append(begun)
        task.begun += count
        return False

    def _strand(self, task: _Task, count: int) -> Strand:
        if task.prompts is None:
            task.prompts = prompts.encode(self._model, task.job)
        seeds = task.job.seeds[task.begun : task.begun + count]
        return strands.begin(self._model, task, task.job, task.prompts, task.begun, seeds)

    # -- drawing ----------------------------------------------------------------------------------------------------

    def _denoise(self) -> list[Drawn]:
        try:
            seen = denoising.predictions(self._model, self._strands, self._budget)
        except OutOfMemory as error:
            # Even one row is too much. The last one goes, so that the memory may hold those before it.
            return [self._fail(self._strands[-1].task, OutOfMemory(str(error)))]
        ended: list[Drawn] = []
        for strand, prediction in zip(list(self._strands), seen, strict=True):
            try:
                strand.advance(prediction)
            except Exception as error:  # noqa: BLE001 whatever ends a job is its end and no other's
                if strand.task.key in self._tasks:
                    ended.append(self._fail(strand.task, error))
        return ended

    def _finish(self, progress: Progress) -> list[Drawn]:
        finished = [strand for strand in self._strands if strand.schedule.done]
        if not finished:
            return []
        job = finished[0].job
        rows = torch.cat([strand.latents for strand in finished])
        try:
            values = images.decode(self._model, rows, job.width * job.height, self._budget, progress)
        except OutOfMemory as error:
            message = str(error)
            return [
                self._fail(task, OutOfMemory(message)) for task in {id(one.task): one.task for one in finished}.values()
            ]
        self._strands = [strand for strand in self._strands if not strand.schedule.done]
        parts = values.split([strand.pictures for strand in finished])
        ended = [self._keep(strand, part) for strand, part in zip(finished, parts, strict=True)]
        return [drawn for drawn in ended if drawn is not None]

    def _keep(self, strand: Strand, values: torch.Tensor) -> Drawn | None:
        """Keep a strand's pictures; the end of its job, if it is that."""
        task: _Task = strand.task
        if task.key not in self._tasks:
            return None  # another of its strands failed
        try:
            task.pictures.update({strand.first + number: images.picture(one) for number, one in enumerate(values)})
        except Exception as error:  # noqa: BLE001 whatever ends a job is its end and no other's
            return self._fail(task, error)
        return self._end(task) if task.done else None

    # -- ending -----------------------------------------------------------------------------------------------------

    def _end(self, task: _Task) -> Drawn:
        self.drop(task.key)
        return task.ended()

    def _fail(self, task: _Task, error: BaseException) -> Drawn:
        self.drop(task.key)
        return Drawn(task.key, error=error)


def _unchanged(job: Drawing) -> Picture:
    return t.cast(Start, job.start).picture.copy()
