# SPDX-License-Identifier: Apache-2.0
"""Engines on the digits model and on tiny models with random weights, each loaded once."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from api_scheduler.engines.diffusers_engine import DiffusersEngine
from api_scheduler.models import Models
from tests.worker import tiny_model
from tests.worker.drive import nothing

ROOT = Path(__file__).resolve().parents[3]
DIGITS = ROOT / "worker_app/models/digits"

StartEngine = t.Callable[..., DiffusersEngine]


def started(directory: Path, at_once: int = 8, loras: t.Mapping[str, str] | None = None) -> DiffusersEngine:
    """An engine that has loaded this model and knows how many pictures it draws at once."""
    engine = DiffusersEngine(Models({"one": str(directory)}), 1, at_once, loras)
    engine.load()
    engine.warm_up(nothing)
    return engine


@pytest.fixture(scope="session")
def digits() -> DiffusersEngine:
    """The digits model."""
    return started(DIGITS)


@pytest.fixture(scope="session")
def tiny_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of Stable Diffusion 1.x."""
    return tiny_model.write(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny(tiny_directory: Path) -> DiffusersEngine:
    """It, loaded."""
    return started(tiny_directory)


@pytest.fixture(scope="session")
def xl_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of SDXL."""
    return tiny_model.write_xl(tmp_path_factory.mktemp("tiny-xl"))


@pytest.fixture(scope="session")
def xl(xl_directory: Path) -> DiffusersEngine:
    """It, loaded."""
    return started(xl_directory)
