# SPDX-License-Identifier: GPL-3.0-or-later
"""What Molecule's scenarios hold against each other: what check mode has said, and what the run then did."""

from __future__ import annotations

import json
import pathlib

import pytest

from scripts.hosts import changes
from scripts.hosts.__main__ import main

FOLDER = ("h", "Create the folders", "/etc/sd-inference")
INSTALLED = ("h", "Install the packages", "")
ENABLED = ("h", "Enable the services", "docker.service")


def written(path: pathlib.Path, *tasks: tuple[str, str]) -> pathlib.Path:
    """A file as the callback writes it, of tasks of the role and their items."""
    rows = [{"host": "h", "task": f"diffusion.fleet.gpu_worker : {task}", "item": item} for task, item in tasks]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_prediction_and_its_deed_are_one_change(tmp_path: pathlib.Path) -> None:
    check = written(
        tmp_path / "check",
        ("Install the packages (predicted)", ""),
        ("Enable the services (predicted)", "docker.service"),
    )
    run = written(
        tmp_path / "run",
        ("Install the packages (apt)", ""),
        ("Install the packages (apt, files)", "amazon-cloudwatch-agent"),
        ("Enable the services", "docker.service"),
    )
    assert changes.read(check) == changes.read(run) == {INSTALLED, ENABLED}


@pytest.mark.parametrize(
    ("predicted", "done", "wrong"),
    [
        ({FOLDER}, {FOLDER}, []),
        (set(), {FOLDER}, ["was not predicted: h Create the folders /etc/sd-inference"]),
        ({FOLDER}, set(), ["did not come: h Create the folders /etc/sd-inference"]),
        ({ENABLED}, set(), ["did not come: h Enable the services docker.service"]),
    ],
)
def test_only_what_was_said_and_done_agrees(
    predicted: set[changes.Change], done: set[changes.Change], wrong: list[str]
) -> None:
    assert changes.differences(predicted, done) == wrong


def test_the_command_fails_with_the_differences(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    check = written(tmp_path / "check", ("Rotate the logs", ""))
    run = written(tmp_path / "run", ("Install the units", "sd-health.timer"))
    assert main(["predicted", str(check), str(check)]) == 0
    assert json.loads(capsys.readouterr().out) == {"predicted": 1, "done": 1}
    assert main(["predicted", str(check), str(run)]) == 1
    said = capsys.readouterr().err
    assert (
        "was not predicted: h Install the units sd-health.timer" in said and "did not come: h Rotate the logs" in said
    )
