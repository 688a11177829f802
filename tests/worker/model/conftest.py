# SPDX-License-Identifier: Apache-2.0
"""The committed digits model, loaded once, from its directory alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training.library import Pipeline
from training.measure import load

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def directory() -> Path:
    """Where the model is committed."""
    return ROOT / "worker_app/models/digits"


@pytest.fixture(scope="session")
def pipeline(directory: Path) -> Pipeline:
    """The model as a plain StableDiffusionPipeline, on one thread: more do not help so small a model."""
    torch.set_num_threads(1)
    return load(directory)
