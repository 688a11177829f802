# SPDX-License-Identifier: Apache-2.0
"""LoRA: each has its effect in its batch, and none outside of it."""

from __future__ import annotations

import typing as t
from pathlib import Path

import diffusers
import pytest
import torch
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

from api_scheduler.documents.drawing import Lora
from api_scheduler.engines.diffusers_engine import DiffusersEngine
from api_scheduler.models import Models, ModelUnusable
from tests.worker.drive import draw, nothing
from tests.worker.engine.drawings import apart, drawing
from tests.worker.engine.stock import Stock

pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers and transformers warn about each other's versions


def write_lora(model: Path, folder: Path, name: str, seed: int) -> Path:
    """A LoRA for UNet and text encoder of this model, with random weights, as the trainers of diffusers write it."""
    pipe: t.Any = diffusers.DiffusionPipeline.from_pretrained(str(model), local_files_only=True)
    torch.manual_seed(seed)
    for part, targets in ((pipe.unet, ["to_q", "to_v"]), (pipe.text_encoder, ["q_proj", "v_proj"])):
        config = LoraConfig(r=4, lora_alpha=4, init_lora_weights="gaussian", target_modules=targets)
        part.add_adapter(config)
        for key, value in part.named_parameters():
            if "lora_B" in key:
                torch.nn.init.normal_(value, std=0.2)
    text = {"text_encoder_lora_layers": get_peft_model_state_dict(pipe.text_encoder)}
    type(pipe).save_lora_weights(
        str(folder),
        unet_lora_layers=get_peft_model_state_dict(pipe.unet),
        weight_name=f"{name}.safetensors",
        safe_serialization=True,
        **text,
    )
    return folder / f"{name}.safetensors"


@pytest.fixture(scope="module")
def files(tiny_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("loras")
    return {name: str(write_lora(tiny_directory, folder, name, seed)) for seed, name in enumerate(("bold", "thin.v2"))}


@pytest.fixture(scope="module")
def engine(tiny_directory: Path, files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> DiffusersEngine:
    pickle = tmp_path_factory.mktemp("pickle") / "old.pt"
    pickle.write_bytes(b"\x80\x04N.")
    engine = DiffusersEngine(Models({"one": str(tiny_directory)}), 1, 4, {**files, "old": str(pickle)})
    engine.load()
    engine.warm_up(nothing)
    return engine


def one(engine: DiffusersEngine, *loras: Lora) -> t.Any:
    return draw(engine, [drawing(loras=loras)])[0][0]


def test_each_changes_the_picture_and_the_model_itself_comes_back(
    engine: DiffusersEngine, tiny: DiffusersEngine
) -> None:
    plain = one(tiny)
    bold, thin = Lora("bold", 1.0), Lora("thin.v2", 1.0)
    pictures = [
        one(engine),
        one(engine, bold),
        one(engine, thin),
        one(engine, bold, thin),
        one(engine, Lora("bold", 0.3)),
    ]
    assert apart(pictures[0], plain) <= 1
    assert all(
        apart(*pair) > 2 for index, first in enumerate(pictures) for pair in [(first, x) for x in pictures[:index]]
    )
    assert apart(one(engine), plain) <= 1
    assert apart(one(engine, bold), pictures[1]) <= 1


def test_it_is_what_the_library_draws_with_it(
    engine: DiffusersEngine, tiny_directory: Path, files: dict[str, str]
) -> None:
    stock = Stock(tiny_directory)
    stock.adapt(files["bold"], 0.8)
    assert apart(one(engine, Lora("bold", 0.8)), stock.draw(drawing())[0]) <= 1


def test_jobs_with_other_lora_wait(engine: DiffusersEngine) -> None:
    engine.begin("bold", drawing(loras=(Lora("bold", 1.0),)))
    assert engine.fits(drawing(seeds=(2,), loras=(Lora("bold", 1.0),)))
    assert not engine.fits(drawing())
    assert not engine.fits(drawing(loras=(Lora("bold", 0.5),)))
    engine.drop("bold")


@pytest.mark.parametrize("name", ["old", "unknown"])
def test_only_safetensors_of_the_deployment_are_read(engine: DiffusersEngine, name: str) -> None:
    plain = one(engine)
    with pytest.raises(ModelUnusable, match=f"LoRA '{name}'"):
        engine.begin("one", drawing(loras=(Lora("bold", 1.0), Lora(name, 1.0))))
    assert apart(one(engine), plain) <= 1


def test_weights_that_do_not_fit_the_model_are_named_and_leave_nothing_behind(
    xl_directory: Path, xl: DiffusersEngine, files: dict[str, str], tmp_path: Path
) -> None:
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(Path(files["bold"]).read_bytes()[:1000])
    engine = DiffusersEngine(Models({"one": str(xl_directory)}), 1, 1, {**files, "torn": str(torn)})
    engine.load()
    for name in ("bold", "torn"):
        with pytest.raises(ModelUnusable, match=f"LoRA '{name}' does not fit"):
            engine.begin("one", drawing(loras=(Lora(name, 1.0),)))
        assert apart(one(engine), one(xl)) <= 1


def test_one_that_was_not_used_for_long_makes_room(tiny_directory: Path, files: dict[str, str]) -> None:
    many = {f"copy{number}": files["bold"] for number in range(10)}
    engine = DiffusersEngine(Models({"one": str(tiny_directory)}), 1, 1, many)
    engine.load()
    pictures = [one(engine, Lora(name, 1.0)) for name in (*many, "copy0")]
    assert all(apart(picture, pictures[0]) <= 1 for picture in pictures)
    assert len(engine.session.model.pipe.get_list_adapters()["unet"]) == 8
