# SPDX-License-Identifier: Apache-2.0
"""The real engine: any Stable Diffusion 1.x or XL model in diffusers format, drawn in continuous batches."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from api_scheduler import samplers
from api_scheduler.documents.drawing import Drawing, Lora
from api_scheduler.engines.base import Drawn, EngineLost, Picture, Progress
from api_scheduler.models import Models

if t.TYPE_CHECKING:  # they import torch, which takes seconds: the worker answers /health before that
    from api_scheduler.engines.session import Session

_WARM_UP_PROMPT = "a photo"
_WARM_UP_STEPS = 2


class DiffusersEngine:
    """One model at a time on the GPU, or on the CPU where there is none."""

    name = "diffusers"

    def __init__(
        self, models: Models, threads: int, max_batch: int = 0, loras: t.Mapping[str, str] | None = None
    ) -> None:
        self._models = models
        self._threads = threads
        self._max_batch = max_batch
        self._loras = loras or {}
        self._session: Session | None = None
        self._model = ""
        self._found: dict[str, int] = {}
        """How many pictures of each model's own size are drawn at once."""
        self._in_use: tuple[Lora, ...] = ()
        self.native_side = 512

    @property
    def session(self) -> Session:
        """The model in use with what is drawn by it."""
        if self._session is None:
            raise RuntimeError("the engine is not loaded")
        return self._session

    @property
    def room(self) -> int:
        """How many more pictures could be begun now: of the size in work, else of the model's own."""
        return 1 if self._session is None else self._session.batch.left(self._sample())

    def load(self) -> None:
        """Read the weights of the first model."""
        import torch

        torch.set_num_threads(self._threads)
        self._open(self._models.names[0])
        self.native_side = self.session.model.native_side

    def warm_up(self, progress: Progress) -> Picture:
        """One picture of the model's own size; before it, steps of several to find out how many to draw at once."""
        self.begin(None, self._sample())
        while not (ended := self.step(progress)):
            continue
        if ended[0].error is not None:
            raise ended[0].error
        return ended[0].pictures[0]

    def fits(self, job: Drawing) -> bool:
        """With the same model, LoRA and size, as far as there is room; anything while nothing is drawn."""
        if self._idle():
            return True
        return self._name(job) == self._model and job.loras == self._in_use and self.session.batch.fits(job)

    def begin(self, key: object, job: Drawing) -> None:
        """Take a job in. Raises ModelUnusable."""
        if self._idle():
            with _losses():
                self._open(self._name(job))
                self.session.adapt(job.loras)
            self._in_use = job.loras
        self.session.batch.begin(key, job)

    def step(self, progress: Progress) -> list[Drawn]:
        """One denoising step of all in work; before the first one of a model, how many pictures that may be."""
        with _losses():
            if self._model not in self._found:
                self._found[self._model] = self.session.measure(self._max_batch, self._sample(), progress)
            ended = self.session.batch.step(progress)
        return [dataclasses.replace(one, error=_as_loss(one.error)) for one in ended]

    def drop(self, key: object) -> None:
        """Forget a job."""
        self.session.batch.drop(key)

    def _idle(self) -> bool:
        """Whether nothing is drawn; that includes having no model, after one that could not be read."""
        return self._session is None or not len(self._session.batch)

    def _open(self, name: str) -> None:
        """Read a model, in the place of the one before it."""
        if self._session is not None and name == self._model:
            return
        from api_scheduler.engines.session import Session

        self._session = None  # its memory is free before the next one is read
        with self._models.open(name) as files:
            self._session = Session(files, self._loras, self._found.get(name, 1))
        self._model = name
        self._session.prepare(self._sample())

    def _name(self, job: Drawing) -> str:
        return job.model or self._models.names[0]

    def _sample(self) -> Drawing:
        side, sampler = self.session.model.native_side, samplers.find(samplers.DEFAULT, None)
        return Drawing(_WARM_UP_PROMPT, "", (0,), _WARM_UP_STEPS, side, side, 7.0, sampler, 1, 1)


@contextlib.contextmanager
def _losses() -> t.Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(lost := _as_loss(error), EngineLost):
            raise lost from error
        raise


def _as_loss(error: BaseException | None) -> BaseException | None:
    """The error; EngineLost for one of the card. Only full memory passes: any other makes every later call fail too."""
    import torch

    if isinstance(error, torch.AcceleratorError):
        return EngineLost(str(error).splitlines()[0])
    return error
