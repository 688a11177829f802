# SPDX-License-Identifier: Apache-2.0
"""The reader knows real digits that it was not trained on, in any colours, and says so on the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training.captions import Subject, palettes
from training.halves import drawing_half, reading_half
from training.pictures import enlarge, paint
from training.reader import main, read_digit, read_digits

ROOT = Path(__file__).resolve().parents[3]


def real_digit(number: int, colour: str, background: str) -> tuple[Image.Image, int]:
    """A digit of the half that the reader has not seen, painted."""
    half = drawing_half()
    digit = int(half.digits[number])
    pixels = paint(enlarge(half.ink[number]), Subject(digit, colour, background))
    return Image.fromarray(((pixels.transpose(1, 2, 0) + 1) * 127.5).round().astype(np.uint8)), digit


def run_reader(argument: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """The reader as another environment starts it."""
    command = [sys.executable, "-m", "training.reader", argument]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "worker_app")}
    return subprocess.run(command, input=text, capture_output=True, text=True, env=environment, check=False)


def test_the_halves_share_no_digit() -> None:
    drawing = {ink.tobytes() for ink in drawing_half().ink}
    reading = {ink.tobytes() for ink in reading_half().ink}
    assert len(drawing) + len(reading) == 1797
    assert not drawing & reading


@pytest.mark.parametrize("palette", palettes(), ids="-on-".join)
def test_real_digits_are_read_in_all_colours(palette: tuple[str, str]) -> None:
    shown = [real_digit(number, *palette) for number in range(200)]
    read = read_digits(picture for picture, _unused in shown)
    assert sum(digit == asked for digit, (_unused, asked) in zip(read, shown, strict=True)) >= 194


@pytest.mark.parametrize("side", [8, 32, 64, 512])
def test_the_size_of_the_picture_does_not_matter(side: int) -> None:
    picture, digit = real_digit(0, "blue", "white")
    assert read_digit(picture.resize((side, side))) == digit


def test_a_list_of_pictures_is_checked_on_the_command_line(tmp_path: Path) -> None:
    picture, digit = real_digit(3, "yellow", "black")
    drawn, broken = tmp_path / "drawn.png", tmp_path / "broken.png"
    picture.save(drawn)
    broken.write_text("no picture")
    other = (digit + 1) % 10
    entries: list[dict[str, Any]] = [
        {"path": str(drawn), "digit": digit},
        {"path": str(drawn), "digit": other},
        {"path": str(broken), "digit": digit},
        {"path": str(tmp_path / "missing.png"), "digit": digit},
    ]
    result = run_reader("-", json.dumps(entries))
    assert result.returncode == 0, result.stderr
    tally = json.loads(result.stdout)
    assert (tally["confirmed"], tally["total"], tally["share"]) == (1, 4, 0.25)
    assert [miss["read"] for miss in tally["misses"]] == [digit, None, None]


@pytest.mark.parametrize("text", ["", "{}x", '["a.png"]', '[{"path": "a.png"}]', '[{"path": "a.png", "digit": "x"}]'])
def test_a_list_that_cannot_be_used_is_one_sentence(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.json").write_text(text)
    assert main([str(tmp_path / "list.json")]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert "list.json: expected [" in printed.err


def test_a_list_that_is_missing_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.json")]) == 2
    assert "No such file" in capsys.readouterr().err
