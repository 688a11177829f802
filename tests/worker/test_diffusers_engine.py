# SPDX-License-Identifier: Apache-2.0
"""The real engine on a tiny model with random weights."""

from __future__ import annotations

import logging
import typing as t
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch

from api_scheduler import samplers
from api_scheduler.documents.drawing import Drawing
from api_scheduler.engines.base import InvalidOutput
from api_scheduler.engines.diffusers_engine import DiffusersEngine
from api_scheduler.models import Models, ModelUnusable
from tests.worker import tiny_model
from tests.worker.drive import draw, nothing
from tests.worker.harness import Deployment, StartWorker

pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers and transformers warn about each other's versions

DDIM = samplers.find("DDIM", None)


def drawing(sampler: samplers.Sampler | None = None, seeds: tuple[int, ...] = (1,), **more: t.Any) -> Drawing:
    return Drawing(
        **{
            "prompt": "a red three",
            "negative_prompt": "",
            "seeds": seeds,
            "steps": 3,
            "width": 32,
            "height": 32,
            "cfg_scale": 4.0,
            "sampler": sampler or samplers.find("Euler", None),
            "batch_size": 1,
            "n_iter": 1,
            **more,
        }
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.write(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def engine(model: Path) -> DiffusersEngine:
    engine = DiffusersEngine(Models({"tiny": str(model)}), 1)
    engine.load()
    return engine


class Records(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def test_a_prompt_that_is_cut_off_is_not_logged(engine: DiffusersEngine) -> None:
    records = Records()
    libraries = [logging.getLogger(name) for name in ("diffusers", "transformers")]
    for library in libraries:
        library.addHandler(records)
    draw(engine, [drawing(prompt="secret " * 100)])
    for library in libraries:
        library.removeHandler(records)
    assert records.lines == []


def test_the_model_tells_its_own_size(engine: DiffusersEngine) -> None:
    assert engine.native_side == tiny_model.SIDE
    assert engine.warm_up(nothing).shape == (32, 32, 3)


@pytest.mark.parametrize("name", samplers.names())
def test_every_sampler_draws_with_every_schedule_of_its_own(engine: DiffusersEngine, name: str) -> None:
    for schedule in samplers.schedules(name):
        [[picture]] = draw(engine, [drawing(samplers.find(name, schedule))])
        assert picture.shape == (32, 32, 3)
        assert picture.dtype == np.uint8


def test_a_seed_draws_the_same_picture_whatever_was_drawn_before_and_beside_it(engine: DiffusersEngine) -> None:
    [[alone]] = draw(engine, [drawing(seeds=(5,))])
    draw(engine, [drawing(samplers.find("DPM++ 2M Karras", None), seeds=(9,))])
    [[again]] = draw(engine, [drawing(seeds=(5,))])
    [[_unused, beside]] = draw(engine, [drawing(seeds=(4, 5), batch_size=2)])
    assert np.array_equal(alone, again)
    assert np.abs(alone.astype(int) - beside.astype(int)).max() <= 1


def test_seeds_prompts_and_guidance_take_effect(engine: DiffusersEngine) -> None:
    pictures = [
        draw(engine, [job])[0][0].tobytes()
        for job in (
            drawing(),
            drawing(seeds=(2,)),
            drawing(prompt="a blue nine"),
            drawing(negative_prompt="ugly"),
            drawing(cfg_scale=9.0),
            drawing(steps=4),
        )
    ]
    assert len(set(pictures)) == len(pictures)


def plain_pipeline(model: Path) -> t.Any:
    """The library's own, with DDIM."""
    pipeline: t.Any = diffusers.StableDiffusionPipeline.from_pretrained(str(model), local_files_only=True)
    pipeline.scheduler = diffusers.DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)
    return pipeline


def difference_to(pipeline: t.Any, picture: t.Any, **options: t.Any) -> int:
    """The largest difference to the picture that it draws."""
    seed, size = torch.Generator().manual_seed(1), {"width": 32, "height": 32}
    how = {"num_inference_steps": 3, "guidance_scale": 4.0, "generator": seed, "output_type": "np", **size}
    [expected] = pipeline("a red three", **how, **options).images
    return int(np.abs(picture.astype(int) - (expected * 255).round().astype(int)).max())


def test_eta_draws_as_the_librarys_own_pipeline_does(engine: DiffusersEngine, model: Path) -> None:
    [[fresh]] = draw(engine, [drawing(samplers.with_eta(DDIM, 1.0))])
    assert difference_to(plain_pipeline(model), fresh, eta=1.0) <= 1
    assert difference_to(plain_pipeline(model), fresh) > 1


def test_a_layer_less_draws_as_an_encoder_without_its_last_layer_does(engine: DiffusersEngine, model: Path) -> None:
    [[skipping]] = draw(engine, [drawing(DDIM, clip_skip=1)])
    pipeline = plain_pipeline(model)
    assert difference_to(pipeline, skipping) > 1
    encoder = getattr(pipeline.text_encoder, "text_model", pipeline.text_encoder).encoder
    encoder.layers = encoder.layers[:-1]
    assert difference_to(pipeline, skipping) <= 1


def test_more_layers_than_there_are_leave_one(engine: DiffusersEngine) -> None:
    [[one], [other]] = draw(engine, [drawing(clip_skip=1), drawing(clip_skip=11)])
    assert np.array_equal(one, other)


def test_every_step_is_progress(engine: DiffusersEngine) -> None:
    steps: list[None] = []
    draw(engine, [drawing(steps=6)], lambda: steps.append(None))
    assert len(steps) >= 6


def test_sizes_are_drawn_as_asked(engine: DiffusersEngine) -> None:
    assert draw(engine, [drawing(width=64, height=40)])[0][0].shape == (40, 64, 3)


def test_a_picture_that_is_not_finite_is_an_invalid_output(tmp_path: Path) -> None:
    engine = DiffusersEngine(Models({"tiny": str(tiny_model.write(tmp_path, broken=True))}), 1)
    engine.load()
    with pytest.raises(InvalidOutput, match="not finite"):
        draw(engine, [drawing()])


def test_a_directory_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match=str(tmp_path)):
        DiffusersEngine(Models({"none": str(tmp_path)}), 1).load()


def test_a_model_that_cannot_be_read_fails_its_own_jobs_only(model: Path, tmp_path: Path) -> None:
    engine = DiffusersEngine(Models({"tiny": str(model), "none": str(tmp_path)}), 1)
    engine.load()
    with pytest.raises(ModelUnusable):
        engine.begin("first", drawing(model="none"))
    assert engine.room > 0
    assert engine.fits(drawing())
    assert draw(engine, [drawing()])[0][0].shape == (32, 32, 3)


def test_a_request_is_drawn_by_the_model_through_the_queue(
    deployment: Deployment,
    start: StartWorker,
    model: Path,
) -> None:
    worker = start({"SD_ENGINE": "diffusers", "SD_MODEL": str(model)}).until_ready()
    deployment.send({"id": "real", "api": "/sdapi/v1/txt2img", "payload": {"prompt": "three", "steps": 2, "seed": 3}})
    result = deployment.wait("real")
    assert result["status"] == "succeeded", result
    assert result["worker"]["engine"] == "diffusers"
    assert result["images"][0]["width"] == tiny_model.SIDE
    assert worker.terminate() == 0


def test_a_model_that_draws_nothing_never_becomes_ready(
    deployment: Deployment,
    start: StartWorker,
    tmp_path: Path,
) -> None:
    worker = start({"SD_ENGINE": "diffusers", "SD_MODEL": str(tiny_model.write(tmp_path, broken=True))})
    assert worker.process.wait(90) == 1
    assert "ready" not in worker.states()
    assert "not finite" in worker.said("cannot draw")[0]["error"]
