# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo is played with: processes that draw digits, or containers that draw plain colours."""

from __future__ import annotations

import dataclasses
import typing as t

from . import sources
from .containers import build_variables


@dataclasses.dataclass(frozen=True)
class Cast:
    """The runner, the engine of the worker, and what follows from them."""

    runner: str
    engine: str
    broken: sources.Edit
    """What makes the bad version bad."""
    variables: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    """For every playbook."""

    @property
    def reads_digits(self) -> bool:
        """Whether the pictures show what was asked for."""
        return self.engine == "diffusers"


def cast(runner: str) -> Cast:
    """The cast of a runner.

    In containers the engine is the one without a model: each container would import torch anew, and its image with
    torch is too large to build and move in the minutes of a demo.
    """
    if runner == "docker":
        variables = {"fleet_engine": "noop", "fleet_image_requirements": "noop", **build_variables()}
        return Cast("docker", "noop", sources.BROKEN_JOBS, variables)
    return Cast("process", "diffusers", sources.BROKEN_SAMPLER)
