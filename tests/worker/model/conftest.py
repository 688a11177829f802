# SPDX-License-Identifier: Apache-2.0
"""The committed digits model, loaded once, from its directory alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(ROOT / "worker_app"))

import torch  # noqa: E402  # after HF_HUB_OFFLINE, which the libraries read when imported

from training.library import Pipeline  # noqa: E402  # needs the path above
from training.measure import load  # noqa: E402  # as above


@pytest.fixture(scope="session")
def directory() -> Path:
    """Where the model is committed."""
    return ROOT / "worker_app/models/digits"


@pytest.fixture(scope="session")
def pipeline(directory: Path) -> Pipeline:
    """The model as a plain StableDiffusionPipeline, on one thread: more do not help so small a model."""
    torch.set_num_threads(1)
    return load(directory)
