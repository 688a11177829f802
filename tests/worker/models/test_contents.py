# SPDX-License-Identifier: Apache-2.0
"""Which files of a place are the model: decided from names alone."""

from __future__ import annotations

import json

import pytest

from api_scheduler.models import ModelUnusable, contents, places

FOLDERS = ["unet", "vae"]


@pytest.mark.parametrize(
    ("location", "bucket", "base", "single", "config"),
    [
        ("/opt/model", "", "/opt/model/", "", ""),
        ("/opt/model/", "", "/opt/model/", "", ""),
        ("/opt/m.safetensors", "", "/opt/", "m.safetensors", "m/"),
        ("s3://weights/sd15", "weights", "sd15/", "", ""),
        ("s3://weights/a/b/", "weights", "a/b/", "", ""),
        ("s3://weights/a/m.safetensors", "weights", "a/", "m.safetensors", "m/"),
        ("s3://weights/", "weights", "", "", ""),
    ],
)
def test_locations(location: str, bucket: str, base: str, single: str, config: str) -> None:
    place = places.parse(location)
    assert (place.bucket, place.base, place.single, place.config) == (bucket, base, single, config)


@pytest.mark.parametrize("location", ["s3://", "s3://UPPER/x", "s3:///x", "/opt/m.ckpt", "s3://weights/m.PT", "m.bin"])
def test_locations_that_are_refused(location: str) -> None:
    with pytest.raises(ModelUnusable, match=r"is no location in S3|is a pickle"):
        places.parse(location)


def test_only_what_a_component_is_made_of_is_taken() -> None:
    there = [
        "model_index.json",
        "README.md",
        "v1-5-pruned.safetensors",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.onnx",
        "unet/model.py",
        "vae/diffusion_pytorch_model.fp16.safetensors",
        "safety_checker/model.safetensors",
    ]
    assert contents.wanted(places.parse("/m"), there, FOLDERS) == [
        "model_index.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.fp16.safetensors",
    ]


@pytest.mark.parametrize("name", ["unet/model.bin", "vae/x.CKPT", "unet/deep/y.pt", "vae/z.pkl"])
def test_a_pickle_is_refused_by_name(name: str) -> None:
    with pytest.raises(ModelUnusable, match=name):
        contents.wanted(places.parse("/m"), ["unet/model.safetensors", name], FOLDERS)


def test_a_model_without_weights_is_refused() -> None:
    with pytest.raises(ModelUnusable, match="no weights"):
        contents.wanted(places.parse("/m"), ["unet/config.json"], FOLDERS)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (None, "has no model_index.json"),
        (b"[]", "no JSON object"),
        (b"{", "no JSON object"),
        (json.dumps({"unet": ["my_code", "Unet"]}).encode(), "my_code"),
        (json.dumps({"../unet": ["diffusers", "Unet"]}).encode(), "only diffusers"),
    ],
)
def test_an_index_that_cannot_be_used(index: bytes | None, said: str) -> None:
    with pytest.raises(ModelUnusable, match=said):
        contents.components(places.parse("/m"), index)


def test_components_that_are_null_or_not_read_are_left_out() -> None:
    index = {"unet": ["diffusers", "U"], "image_encoder": [None, None], "safety_checker": ["stable_diffusion", "S"]}
    assert contents.components(places.parse("/m"), json.dumps(index).encode()) == ["unet"]


def test_a_list_of_digests() -> None:
    text = f"{'A' * 64}  unet/a.safetensors\n\n{'b' * 64} *./vae/b.safetensors\n".encode()
    found = contents.listed(places.parse("/m"), text)
    assert found == {"unet/a.safetensors": "a" * 64, "vae/b.safetensors": "b" * 64}
    with pytest.raises(ModelUnusable, match="line 1 of SHA256SUMS"):
        contents.listed(places.parse("/m"), b"what is this")
