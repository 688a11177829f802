# SPDX-License-Identifier: Apache-2.0
"""The optional safety checker: an engine whose pictures are looked at before anybody gets them."""

from __future__ import annotations

import typing as t
from pathlib import Path

import numpy as np

from api_scheduler.documents.drawing import Drawing
from api_scheduler.engines.base import Drawn, Engine, Picture, Progress
from api_scheduler.models import ModelUnusable

_AT_ONCE = 8
_WEIGHTS = "model.safetensors"


class SafetyChecker:
    """diffusers' StableDiffusionSafetyChecker, from a directory."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._model: t.Any = None
        self._processor: t.Any = None

    def load(self) -> None:
        """Read the weights, safetensors only. Raises ModelUnusable."""
        for name in ("config.json", _WEIGHTS):
            if not (self._folder / name).is_file():
                raise ModelUnusable(f"SD_SAFETY_CHECKER {self._folder} is no safety checker: it has no {name}")
        import torch
        from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
        from transformers import CLIPImageProcessor

        device = "cuda" if torch.cuda.is_available() else "cpu"
        folder = str(self._folder)
        model = StableDiffusionSafetyChecker.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        self._model = model.eval().to(device)
        if (self._folder / "preprocessor_config.json").is_file():
            self._processor = CLIPImageProcessor.from_pretrained(folder, local_files_only=True)
        else:
            side = int(model.config.vision_config.image_size)
            size = {"shortest_edge": side}
            self._processor = CLIPImageProcessor(size=size, crop_size={"height": side, "width": side})

    def flagged(self, pictures: t.Sequence[Picture], progress: Progress) -> tuple[bool, ...]:
        """Of each picture, whether it is not safe."""
        import torch
        from PIL import Image

        flags: list[bool] = []
        for first in range(0, len(pictures), _AT_ONCE):
            some = pictures[first : first + _AT_ONCE]
            pixels = self._processor([Image.fromarray(picture) for picture in some], return_tensors="pt").pixel_values
            with torch.no_grad():
                # It blackens what it is given; copies of one pixel are enough to have its opinion.
                given = [np.zeros((1, 1, 3), dtype=np.uint8) for _picture in some]
                _blackened, found = self._model(clip_input=pixels.to(self._model.device), images=given)
            flags += [bool(flag) for flag in found]
            progress()
        return tuple(flags)


class Guarded:
    """An engine, and the checker that sees its pictures. A picture it flags becomes black; the others are kept."""

    def __init__(self, engine: Engine, checker: SafetyChecker) -> None:
        self._engine = engine
        self._checker = checker
        self.name, self.native_side = engine.name, engine.native_side

    @property
    def room(self) -> int:
        """The engine's."""
        return self._engine.room

    def load(self) -> None:
        """Both."""
        self._checker.load()
        self._engine.load()
        self.native_side = self._engine.native_side

    def warm_up(self, progress: Progress) -> Picture:
        """The engine's picture, seen by the checker: a worker is ready only when both can work."""
        picture = self._engine.warm_up(progress)
        self._checker.flagged([picture], progress)
        return picture

    def fits(self, job: Drawing) -> bool:
        """As the engine says."""
        return self._engine.fits(job)

    def begin(self, key: object, job: Drawing) -> None:
        """Take a job in."""
        self._engine.begin(key, job)

    def step(self, progress: Progress) -> list[Drawn]:
        """A step of the engine; what ended in it is checked."""
        return [self._checked(drawn, progress) for drawn in self._engine.step(progress)]

    def drop(self, key: object) -> None:
        """Forget a job."""
        self._engine.drop(key)

    def _checked(self, drawn: Drawn, progress: Progress) -> Drawn:
        if drawn.error is not None:
            return drawn
        try:
            flags = self._checker.flagged(drawn.pictures, progress)
        except Exception as error:  # noqa: BLE001 what could not be checked is not given away
            return Drawn(drawn.key, error=error)
        pictures = [
            np.zeros_like(picture) if flag else picture for picture, flag in zip(drawn.pictures, flags, strict=True)
        ]
        return Drawn(drawn.key, pictures, flagged=flags)
