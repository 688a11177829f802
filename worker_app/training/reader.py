# SPDX-License-Identifier: Apache-2.0
"""Reads the digit in a drawn picture, whatever its colours; knows only the half of the data that the model never saw.

A support vector machine on 8x8 ink, as scikit-learn's digits are. A picture becomes ink in three steps: the background
is the median colour of the left and right edge, where digits hardly reach; ink is the distance of a pixel's colour from
it; the strongest ink counts as 1.

As a command it checks a list of pictures: `python -m training.reader LIST.json`, where the list is
`[{"path": "picture.png", "digit": 3}, ...]` and `-` reads it from standard input.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.svm import SVC

from training.halves import reading_half

_SIDE = 8
_FAINTEST = 20.0
"""Below this distance of colours (of 441) a picture is empty, and its noise is not blown up into a digit."""


@dataclass(frozen=True)
class Entry:
    """A picture and the digit that was asked for."""

    path: str
    digit: int


@dataclass(frozen=True)
class Miss:
    """A picture that does not show the digit asked for; `read` is None where nothing could be read."""

    path: str
    digit: int
    read: int | None


@dataclass(frozen=True)
class Tally:
    """How many pictures show the digit asked for."""

    confirmed: int
    total: int
    share: float
    misses: Sequence[Miss]


class ListError(Exception):
    """The list of pictures cannot be used; the message says why."""


def ink_of(picture: Image.Image) -> NDArray[np.float64]:
    """The picture as 8x8 ink between 0 and 1, flattened; the colours no longer matter."""
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float64)
    edge = max(1, pixels.shape[1] // 16)
    margins = np.concatenate([pixels[:, :edge], pixels[:, -edge:]], axis=1)
    distance = np.linalg.norm(pixels - np.median(margins, axis=(0, 1)), axis=2)
    small = Image.fromarray(distance.astype(np.float32)).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    ink = np.asarray(small, dtype=np.float64)
    return (ink / max(float(ink.max()), _FAINTEST)).ravel()


@cache
def trained() -> SVC:
    """The classifier, trained on the reading half (a fraction of a second)."""
    half = reading_half()
    return SVC(C=10.0, gamma="scale").fit(half.ink.reshape(len(half.ink), -1), half.digits)


def read_digits(pictures: Iterable[Image.Image]) -> list[int]:
    """The digit in each picture."""
    inks = [ink_of(picture) for picture in pictures]
    return [int(digit) for digit in trained().predict(np.stack(inks))] if inks else []


def read_digit(picture: Image.Image) -> int:
    """The digit in the picture."""
    return read_digits([picture])[0]


def confirm(entries: Sequence[Entry]) -> Tally:
    """Read every picture and compare it with what was asked for."""
    readings = [(entry, _read_file(entry.path)) for entry in entries]
    misses = [Miss(entry.path, entry.digit, read) for entry, read in readings if read != entry.digit]
    confirmed = len(entries) - len(misses)
    return Tally(confirmed, len(entries), confirmed / len(entries) if entries else 0.0, misses)


def parse(text: str) -> list[Entry]:
    """The entries of a list of pictures in JSON."""
    try:
        return [Entry(str(item["path"]), int(item["digit"])) for item in json.loads(text)]
    except (ValueError, TypeError, KeyError) as cause:
        raise ListError(f'expected [{{"path": "picture.png", "digit": 3}}, ...]: {cause!r}') from cause


def _read_file(path: str) -> int | None:
    try:
        with Image.open(path) as picture:
            return read_digit(picture)
    except OSError:
        return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a list of pictures and print the tally as one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m training.reader", description=__doc__)
    parser.add_argument("list", help="file with the list of pictures, - for standard input")
    name = parser.parse_args(arguments).list
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        tally = confirm(parse(text))
    except (ListError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    print(json.dumps(asdict(tally)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
