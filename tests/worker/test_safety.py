# SPDX-License-Identifier: Apache-2.0
"""The safety checker: what it flags nobody gets, and the rest goes out as it is."""

from __future__ import annotations

import hashlib
import io
import json
import typing as t
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from api_scheduler import samplers
from api_scheduler.clock import SystemClock
from api_scheduler.documents.drawing import Drawing
from api_scheduler.engines.base import Picture
from api_scheduler.engines.noop import NoopEngine
from api_scheduler.engines.safety import Guarded, SafetyChecker
from api_scheduler.models import ModelUnusable
from tests.worker import tiny_checker
from tests.worker.harness import Deployment, StartWorker

pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers and transformers warn about each other's versions
BAD, GOOD = 3, (1, 2)


def drawing(*seeds: int) -> Drawing:
    sampler = samplers.find("Euler", None)
    return Drawing("a red three", "", seeds, 2, 64, 64, 7.0, sampler, len(seeds), 1)


def nothing() -> None:
    """No one watches the progress."""


def pictures(engine: t.Any, *seeds: int) -> t.Any:
    engine.begin("key", drawing(*seeds))
    while not (drawn := engine.step(nothing)):
        continue
    return drawn[0]


@pytest.fixture(scope="module")
def drawn() -> dict[int, Picture]:
    """What the engine draws for each seed."""
    found = pictures(NoopEngine(0, SystemClock(), 8), *GOOD, BAD)
    return dict(zip((*GOOD, BAD), found.pictures, strict=True))


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory, drawn: dict[int, Picture]) -> Path:
    return tiny_checker.write(tmp_path_factory.mktemp("checker"), drawn[BAD], [drawn[seed] for seed in GOOD])


def test_what_is_flagged_is_black_and_the_others_are_kept(checker: Path, drawn: dict[int, Picture]) -> None:
    engine = Guarded(NoopEngine(0, SystemClock(), 8), SafetyChecker(str(checker)))
    engine.load()
    assert np.ptp(engine.warm_up(nothing)) > 0
    found = pictures(engine, GOOD[0], BAD, GOOD[1])
    assert found.flagged == (False, True, False)
    assert np.array_equal(found.pictures[0], drawn[GOOD[0]])
    assert found.pictures[1].max() == 0 and found.pictures[1].shape == drawn[BAD].shape
    assert np.array_equal(found.pictures[2], drawn[GOOD[1]])


def test_what_cannot_be_checked_is_not_given_away(drawn: dict[int, Picture]) -> None:
    engine = Guarded(NoopEngine(0, SystemClock(), 8), SafetyChecker("/never/loaded"))
    found = pictures(engine, BAD)
    assert found.error is not None
    assert found.pictures == []


@pytest.mark.parametrize("there", [(), ("config.json",), ("config.json", "pytorch_model.bin")])
def test_a_directory_without_a_checker_is_named(tmp_path: Path, there: tuple[str, ...]) -> None:
    for name in there:
        (tmp_path / name).write_text("{}")
    with pytest.raises(ModelUnusable, match=str(tmp_path)):
        SafetyChecker(str(tmp_path)).load()


def test_a_flagged_picture_is_marked_in_the_result(
    deployment: Deployment, start: StartWorker, checker: Path, drawn: dict[int, Picture]
) -> None:
    payload = {"prompt": "a red three", "steps": 2, "seed": GOOD[1], "n_iter": 2, "width": 64, "height": 64}
    body = json.dumps({"id": "mixed", "api": "/sdapi/v1/txt2img", "payload": payload})
    # Left by a worker without a checker that was lost before it had answered.
    there = {"body-sha256": hashlib.sha256(body.encode()).hexdigest()}
    deployment.s3.put_object(Bucket=deployment.bucket, Key="results/mixed/1.png", Body=b"unseen", Metadata=there)
    worker = start({"SD_SAFETY_CHECKER": str(checker)})
    deployment.send(body)
    result = deployment.wait("mixed", 120)
    assert (result["status"], [image["nsfw"] for image in result["images"]]) == ("succeeded", [False, True])
    found = [np.asarray(Image.open(io.BytesIO(deployment.read(image["key"])))) for image in result["images"]]
    assert np.array_equal(found[0], drawn[GOOD[1]])
    assert found[1].max() == 0
    worker.jobs(1)
    assert "sd_flagged_pictures_total 1.0" in worker.get("/metrics")[1]
