# SPDX-License-Identifier: Apache-2.0
"""What draws: one engine is chosen by name."""

from __future__ import annotations

from api_scheduler.clock import Clock
from api_scheduler.engines.base import Engine
from api_scheduler.models import Models
from api_scheduler.settings import Settings

_NOOP_BATCH = 8


def create(settings: Settings, clock: Clock, models: Models) -> Engine:
    """The engine that SD_ENGINE names, guarded where SD_SAFETY_CHECKER is set. Only what needs torch imports it."""
    engine = _engine(settings, clock, models)
    if not settings.safety_checker:
        return engine
    from api_scheduler.engines.safety import Guarded, SafetyChecker

    return Guarded(engine, SafetyChecker(settings.safety_checker))


def _engine(settings: Settings, clock: Clock, models: Models) -> Engine:
    if settings.engine == "noop":
        from api_scheduler.engines.noop import NoopEngine

        return NoopEngine(settings.noop_ms, clock, settings.max_batch or _NOOP_BATCH)
    from api_scheduler.engines.diffusers_engine import DiffusersEngine

    return DiffusersEngine(models, settings.torch_threads, settings.max_batch, settings.loras)
