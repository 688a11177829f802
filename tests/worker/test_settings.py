# SPDX-License-Identifier: Apache-2.0
"""Settings about requests: LoRA of the deployment, and what requests may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_scheduler import settings
from api_scheduler.settings import InvalidSetting, Limits, Settings

REQUIRED = {
    "SD_DEPLOYMENT_ID": "demo",
    "SD_IMAGE_VERSION": "1.0.0",
    "SD_RELEASE_ID": "r1",
    "SD_TASK_QUEUE": "tasks",
    "SD_DEAD_LETTER_QUEUE": "dead",
    "SD_BUCKET": "bucket",
    "SD_ENGINE": "noop",
}


def read(**variables: str) -> Settings:
    return settings.read({**REQUIRED, **variables})


def test_there_are_no_lora_unless_they_are_set() -> None:
    assert read().loras == {}
    assert read(SD_LORAS=" ").loras == {}


def test_lora_are_listed_by_name() -> None:
    assert read(SD_LORAS="bold=/a/x.safetensors, thin.v2=/b.safetensors").loras == {
        "bold": "/a/x.safetensors",
        "thin.v2": "/b.safetensors",
    }


def test_a_directory_offers_each_of_its_lora(tmp_path: Path) -> None:
    for name in ("thin.safetensors", "bold.v2.safetensors", "pickle.ckpt", "notes.txt"):
        (tmp_path / name).touch()
    assert read(SD_LORAS=str(tmp_path)).loras == {
        "bold.v2": str(tmp_path / "bold.v2.safetensors"),
        "thin": str(tmp_path / "thin.safetensors"),
    }


@pytest.mark.parametrize("value", ["/nowhere/at/all", "bold=", "=/a", "../up=/a", "a=/x,a=/y", "a b=/x", "bold=/,b"])
def test_what_names_no_lora_is_refused(value: str) -> None:
    with pytest.raises(InvalidSetting, match="SD_LORAS is "):
        read(SD_LORAS=value)


@pytest.mark.parametrize(
    ("variable", "field"),
    [("SD_MAX_IMAGE_BYTES", "image_bytes"), ("SD_MAX_IMAGE_PIXELS", "image_pixels"), ("SD_MAX_LORAS", "loras")],
)
def test_what_requests_may_hold_is_set(variable: str, field: str) -> None:
    assert getattr(read().limits, field) == getattr(Limits(), field)
    low = {"image_bytes": "1024", "image_pixels": "4096", "loras": "0"}[field]
    assert getattr(read(**{variable: low}).limits, field) == int(low)
    for wrong in ("-1", "many", "1e3", str(10**15)):
        with pytest.raises(InvalidSetting, match=f"{variable} is "):
            read(**{variable: wrong})
