# SPDX-License-Identifier: Apache-2.0
"""One file in the original layout draws what the directory it was made from draws."""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

import numpy as np
import pytest

from api_scheduler import samplers
from api_scheduler.documents.drawing import Drawing
from api_scheduler.engines.diffusers_engine import DiffusersEngine
from api_scheduler.models import Models, ModelUnusable
from tests.worker import tiny_model
from tests.worker.models import original

pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers and transformers warn about each other's versions


def nothing() -> None:
    """No one watches the progress."""


def drawn(engine: DiffusersEngine, model: str) -> t.Any:
    sampler = samplers.find("Euler", None)
    engine.begin("key", Drawing("a red three", "", (1,), 3, 32, 32, 4.0, sampler, 1, 1, model=model))
    while not (ended := engine.step(nothing)):
        continue
    assert ended[0].error is None, ended[0].error
    return ended[0].pictures[0]


def test_a_single_file_draws_what_its_directory_draws(tmp_path: Path) -> None:
    folder = tiny_model.write(tmp_path / "tiny")
    single = original.write(folder, tmp_path / "single")
    engine = DiffusersEngine(Models({"folder": str(folder), "single": str(single)}), 1)
    engine.load()
    assert np.array_equal(drawn(engine, "folder"), drawn(engine, "single"))
    # Without its configuration diffusers would ask the network.
    shutil.rmtree(tmp_path / "single/m")
    with pytest.raises(ModelUnusable, match=r"m/model_index.json is not there"):
        DiffusersEngine(Models({"single": str(single)}), 1).load()
