# SPDX-License-Identifier: Apache-2.0
"""On a CPU a model is recorded at its own size: when the graph draws, and when the module does."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import torch

from api_scheduler.documents.drawing import Drawing, Lora
from api_scheduler.engines.diffusers_engine import DiffusersEngine
from api_scheduler.engines.graph import UnetGraph
from api_scheduler.models import Models
from tests.worker.drive import draw, nothing
from tests.worker.engine.drawings import apart, drawing, from_photo, right_half
from tests.worker.engine.small_card import SmallCard
from tests.worker.engine.test_loras import write_lora

pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers and transformers warn about each other's versions


def by_module(engine: DiffusersEngine, job: Drawing, decoder: bool = False) -> int:
    """How often the Python of the UNet, or the decoder, is run for a job: what is inside of a graph calls no hooks."""
    calls: list[None] = []
    pipe = engine.session.model.pipe
    layer = pipe.vae.decoder.conv_in if decoder else pipe.unet.conv_in
    hook = layer.register_forward_pre_hook(lambda _layer, _given: calls.append(None))
    try:
        draw(engine, [job])
    finally:
        hook.remove()
    return len(calls)


@pytest.mark.parametrize(
    "more",
    [
        {"steps": 5},
        {"cfg_scale": 1.0},
        {"seeds": (1, 2, 3), "batch_size": 3},
        {"start": from_photo(0.6)},
        {"start": from_photo(0.7, right_half())},
    ],
)
def test_the_graph_draws_pictures_of_the_model_s_own_size(tiny: DiffusersEngine, more: dict[str, t.Any]) -> None:
    assert by_module(tiny, drawing(**more)) == 0
    assert by_module(tiny, drawing(**more), decoder=True) == 0


def test_a_model_that_is_told_more_is_recorded_as_well(xl: DiffusersEngine) -> None:
    assert by_module(xl, drawing(steps=3)) == 0


def test_the_module_draws_other_sizes(tiny: DiffusersEngine) -> None:
    assert by_module(tiny, drawing(steps=3, width=64)) == 3
    assert by_module(tiny, drawing(steps=3, width=64), decoder=True) == 1


def test_the_module_draws_with_a_lora_and_the_graph_again_after_it(tiny_directory: Path, tmp_path: Path) -> None:
    bold = str(write_lora(tiny_directory, tmp_path, "bold", 1))
    engine = DiffusersEngine(Models({"one": str(tiny_directory)}), 1, 2, {"bold": bold})
    engine.load()
    engine.warm_up(nothing)
    [[plain]] = draw(engine, [drawing(steps=3)])
    assert by_module(engine, drawing(steps=3, loras=(Lora("bold", 1.0),))) == 3
    assert by_module(engine, drawing(steps=3)) == 0
    assert apart(draw(engine, [drawing(steps=3)])[0][0], plain) == 0


def test_the_module_draws_where_attention_is_sliced(tiny_directory: Path) -> None:
    engine = DiffusersEngine(Models({"one": str(tiny_directory)}), 1, 1)
    engine.load()
    engine.warm_up(nothing)
    row = 8 * 8  # latents
    SmallCard(unet=row - 1, unet_in_slices=row).put_into(engine)
    assert by_module(engine, drawing(steps=2, cfg_scale=1.0)) == 2


class Unet(torch.nn.Module):
    """Predicts otherwise for several rows than for one, by a decision of Python that no graph holds."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, sample: torch.Tensor, _timestep: torch.Tensor, **_more: t.Any) -> tuple[torch.Tensor]:
        return (sample * self.scale if len(sample) == 1 else sample + self.scale,)


def test_a_graph_that_predicts_otherwise_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    unet = Unet()
    graph = UnetGraph(unet)
    row = (torch.ones(1, 4, 2, 2), torch.ones(1), torch.ones(1, 3, 5), None, None, None)
    graph.record(row)
    assert "the module is used" in caplog.text
    several = unet(torch.ones(2, 4, 2, 2), torch.ones(2), encoder_hidden_states=torch.ones(2, 3, 5))[0]
    assert several.unique().tolist() == [2.0]
