# SPDX-License-Identifier: GPL-3.0-or-later
"""What the soak adds to the worker that it tries: an engine around the real one. It goes into the image as a file.

It notes each drawing that begins and each that ends, and spoils those whose prompt says so: the worker itself has no
request that always fails, and an engine that does is the only honest one.
"""

from __future__ import annotations

import importlib
import os
import threading
import time
import typing as t

NOTES = "SD_SOAK_NOTES"
"""The variable that names the file of notes."""


def spoil(prompt: str) -> None:
    """End this one job as its prompt says, in one of the ways in which an engine fails."""
    base = importlib.import_module("api_scheduler.engines.base")
    if "poison raises" in prompt:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    if "poison memory" in prompt:
        raise base.OutOfMemory("CUDA out of memory")
    if "poison output" in prompt:
        raise base.InvalidOutput("the picture is constant: every pixel is the same")


def strike(prompt: str) -> None:
    """Take the whole process down, with all that is drawn beside it, if the prompt says so."""
    if "poison lethal" in prompt:
        os._exit(137)
    if "poison hangs" in prompt:
        threading.Event().wait()


def note(word: str, prompt: str) -> None:
    """Append a line to the notes: what, which request, where, when. One write, so that processes do not mix theirs."""
    path = os.environ.get(NOTES)
    if path:
        instance = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "").rstrip("/").rpartition("/")[2]
        line = f"{word} {prompt.rpartition('#')[2]} {instance} {os.getpid()} {time.time():.3f}\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(descriptor, line.encode())
        os.close(descriptor)


class Planted:
    """The engine, noted and spoilt."""

    def __init__(self, engine: t.Any) -> None:
        self._engine = engine
        self._prompts: dict[object, str] = {}

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._engine, name)

    def begin(self, key: object, job: t.Any) -> None:
        """Take a job in."""
        note("begun", job.prompt)
        spoil(job.prompt)
        self._engine.begin(key, job)
        self._prompts[key] = job.prompt

    def step(self, progress: t.Callable[[], None]) -> t.Any:
        """One step for all."""
        for prompt in self._prompts.values():
            strike(prompt)
        ended = self._engine.step(progress)
        for one in ended:
            note("drawn" if one.error is None else "failed", self._prompts.pop(one.key))
        return ended

    def drop(self, key: object) -> None:
        """Forget a job."""
        self._prompts.pop(key, None)
        self._engine.drop(key)
