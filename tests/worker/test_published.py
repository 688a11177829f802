# SPDX-License-Identifier: Apache-2.0
"""What is published about the documents is what the code does: schemas, tables, samplers."""

from __future__ import annotations

import inspect
import json
import shutil
import typing as t
from pathlib import Path

import diffusers
import pytest

from api_scheduler import samplers
from api_scheduler.documents import envelope
from api_scheduler.documents.fields import FIELDS
from api_scheduler.documents.payload import PAYLOADS
from api_scheduler.documents.result import Failure, Image, Result, Worker, cancellation, notice
from api_scheduler.publish import __main__ as publish
from api_scheduler.publish.schema import NoticeDocument, ResultDocument
from tests.worker import webui_fields
from tests.worker.harness import ROOT

PAGE, SCHEMAS = ROOT / "docs" / "requests.md", ROOT / "worker_app" / "schema"
OF_API = {envelope.TXT2IMG: webui_fields.TXT2IMG, envelope.IMG2IMG: webui_fields.IMG2IMG}
OWN = {"loras"}


def test_what_is_published_is_current(tmp_path: Path) -> None:
    page = tmp_path / "requests.md"
    shutil.copy(PAGE, page)
    publish.main(str(tmp_path / "schema"), str(page))
    command = "python -m api_scheduler.publish worker_app/schema docs/requests.md"
    assert page.read_text() == PAGE.read_text(), f"run {command}"
    for made in (tmp_path / "schema").iterdir():
        assert made.read_text() == (SCHEMAS / made.name).read_text(), f"run {command}"
    assert {path.name for path in SCHEMAS.iterdir()} == {"request.json", "result.json", "notice.json"}


@pytest.mark.parametrize("api", envelope.APIS)
def test_every_field_of_that_api_has_one_place(api: str) -> None:
    effective, table = set(PAYLOADS[api].model_fields), FIELDS[api]
    places = [effective - OWN, set(table.neutral), set(table.ignored)]
    assert sorted(name for place in places for name in place) == sorted(OF_API[api])


@pytest.mark.parametrize("api", envelope.APIS)
def test_every_field_of_that_api_stands_in_the_table(api: str) -> None:
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    call = api.rsplit("/", 1)[-1]
    listed = {row[0].strip("| `"): row[2] for row in rows if len(row) == 5 and call in row[1]}
    assert OF_API[api] | OWN == set(listed)
    assert {listed[name] for name in FIELDS[api].neutral} == {"neutral only"}
    assert {listed[name] for name in FIELDS[api].ignored} == {"no effect"}


@pytest.mark.parametrize("name", samplers.names())
def test_a_sampler_is_a_class_of_diffusers_that_takes_its_options(name: str) -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {name} | `")]
    assert len(rows) == 1
    for schedule in samplers.schedules(name):
        sampler = samplers.find(name, schedule)
        kind = getattr(diffusers, sampler.scheduler_class)
        assert set(sampler.options) <= set(inspect.signature(kind.__init__).parameters)
        assert f"`{sampler.scheduler_class}`" in rows[0]
        assert schedule in rows[0]


def test_samplers_and_schedules_of_that_api_that_are_not_there_are_told() -> None:
    text = PAGE.read_text().split("Not there, and refused by name:")[1].split("\n\n")[0].lower()
    for name in webui_fields.SAMPLERS:
        assert name in samplers.names() or name.lower() in text, name
    for schedule in webui_fields.SCHEDULES:
        try:
            samplers.find("Euler", schedule)
        except samplers.UnknownSampler:
            assert schedule.replace("_", " ") in text


def result(**more: t.Any) -> dict[str, t.Any]:
    worker = Worker("i-1", "1.0.0", "r1", "noop")
    return Result("one", more.pop("status", "succeeded"), "0" * 64, worker, **more).document()


def test_results_and_notices_are_what_their_schemas_say() -> None:
    succeeded = result(images=(Image("results/one/0.png", 1, 8, 8, "0" * 64),), parameters={"steps": 1}, attempts=1)
    failed = result(status="failed", failure=Failure("invalid_request", "payload.steps: wrong"), context=[1])
    for document in (succeeded, failed, cancellation("one"), cancellation("one", "0" * 64, {"mine": 1})):
        ResultDocument.model_validate_json(json.dumps(document))
        assert set(document) == {field.alias or name for name, field in ResultDocument.model_fields.items()}
        told = notice(document, "bucket", "key")
        NoticeDocument.model_validate_json(json.dumps(told))
        assert set(told) == {field.alias or name for name, field in NoticeDocument.model_fields.items()}
