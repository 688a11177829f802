# SPDX-License-Identifier: Apache-2.0
"""Drives an engine as the drawing thread does, without one."""

from __future__ import annotations

import typing as t

from api_scheduler.documents.drawing import Drawing
from api_scheduler.engines.base import Drawn, Engine, Picture, Progress


def nothing() -> None:
    """No one watches the progress."""


def draw(engine: Engine, jobs: t.Sequence[Drawing], progress: Progress = nothing) -> list[list[Picture]]:
    """The pictures of each job, drawn together as far as they fit; raises the error of the first that failed."""
    ended: dict[object, Drawn] = {}
    waiting = list(enumerate(jobs))
    while len(ended) < len(jobs):
        while waiting and engine.fits(waiting[0][1]):
            engine.begin(*waiting.pop(0))
        ended.update({drawn.key: drawn for drawn in engine.step(progress)})
    for number in range(len(jobs)):
        if error := ended[number].error:
            raise error
    return [ended[number].pictures for number in range(len(jobs))]
