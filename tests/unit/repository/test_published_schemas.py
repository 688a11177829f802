# SPDX-License-Identifier: GPL-3.0-or-later
"""The published JSON Schemas are schemas, and the documentation's examples are what they say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import typing as t
from pathlib import Path

import jsonschema
import pytest

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "worker_app" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```json\n(.*?)^```", re.DOTALL | re.MULTILINE)
PICTURE = "s3://sd-images-demo-123456789012/inputs/a.png"


def schema(name: str) -> dict[str, t.Any]:
    text = (ROOT / "worker_app" / "schema" / f"{name}.json").read_text(encoding="utf-8")
    return t.cast("dict[str, t.Any]", json.loads(text))


def examples() -> list[tuple[str, dict[str, t.Any]]]:
    """Each example of a request or a result, with the schema it belongs to."""
    blocks = [json.loads(block) for page in PAGES for block in BLOCK.findall(page.read_text(encoding="utf-8"))]
    requests = [("request", one) for one in blocks if isinstance(one, dict) and "api" in one]
    return requests + [("result", one) for one in blocks if isinstance(one, dict) and "body_sha256" in one]


def request(api: str = "txt2img", payload: t.Any = None, **more: t.Any) -> dict[str, t.Any]:
    return {"api": f"/sdapi/v1/{api}", "payload": {} if payload is None else payload, **more}


def fits(body: t.Any) -> bool:
    return bool(jsonschema.Draft202012Validator(schema("request")).is_valid(body))


@pytest.mark.parametrize("name", ["request", "result", "notice"])
def test_a_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))


def test_the_documentation_has_examples() -> None:
    names = [name for name, _example in examples()]
    assert names.count("request") >= 2
    assert names.count("result") >= 1


@pytest.mark.parametrize(("name", "example"), examples())
def test_an_example_is_what_its_schema_says(name: str, example: dict[str, t.Any]) -> None:
    jsonschema.Draft202012Validator(schema(name)).validate(example)


@pytest.mark.parametrize(
    "body",
    [
        request(),
        request(schema=1, id="a", context=[1], ttl_seconds=5),
        request(payload={"steps": 3, "seed": -1, "width": None, "enable_hr": False, "hr_scale": "anything"}),
        request(payload={"prompt": "a <lora:x:1>", "loras": [{"name": "x", "weight": 0.5}], "styles": [""]}),
        request("img2img", {"init_images": [PICTURE], "mask": None, "inpaint_full_res": 0}),
    ],
)
def test_requests_that_are_drawn_fit(body: dict[str, t.Any]) -> None:
    assert fits(body)


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"api": "/sdapi/v1/txt2img"},
        request("other"),
        request(schema=3),
        request(schema=True),
        request(id="../up"),
        request(ttl_seconds=0),
        request(payload=[]),
        request(more=1),
        request(payload={"steps": "3"}),
        request(payload={"steps": 0}),
        request(payload={"width": 65}),
        request(payload={"enable_hr": True}),
        request(payload={"enable_hr": 0}),
        request(payload={"nonsense": 1}),
        request(payload={"init_images": [PICTURE]}),
        request(payload={"loras": [{"name": "x", "path": "/x"}]}),
        request("img2img", {}),
        request("img2img", {"init_images": [PICTURE, PICTURE]}),
        request("img2img", {"init_images": [PICTURE], "denoising_strength": 1.1}),
        request("img2img", {"init_images": [PICTURE], "enable_hr": False}),
    ],
)
def test_requests_that_are_refused_by_their_form_do_not_fit(body: t.Any) -> None:
    assert not fits(body)


@pytest.mark.slow
def test_whatever_the_worker_draws_fits() -> None:
    command = [str(ROOT / ".venv/worker/bin/python"), "-m", "tests.worker.bodies.drawn", "200"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'worker_app' / 'src'}:{ROOT}"}
    printed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    validator = jsonschema.Draft202012Validator(schema("request"))
    bodies = printed.splitlines()
    assert len(bodies) == 200
    for body in bodies:
        validator.validate(json.loads(body))
