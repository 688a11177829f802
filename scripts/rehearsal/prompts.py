# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests of the demo: every digit, many colours, backgrounds and ways to ask."""

from __future__ import annotations

import itertools
import typing as t

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COLOURS = ("red", "green", "blue", "yellow", "orange", "purple", "white", "black")
BACKGROUNDS = ("white", "black", "gray")
FORMS = (
    "a {colour} {digit} on a {background} background",
    "a photo of the {colour} digit {digit} on a {background} background",
    "{digit} in {colour} on {background} paper",
    "handwritten {colour} {digit}, {background} background",
)
STEPS = (8, 9, 10)


def request(number: int, prefix: str) -> dict[str, t.Any]:
    """The request of that number: the same number is the same request. Its digit is in its context."""
    digit = number % len(DIGITS)
    colour, background = _palettes()[number * 5 % len(_palettes())]
    form = FORMS[number // len(DIGITS) % len(FORMS)]
    return {
        "id": f"{prefix}-{number:03d}",
        "api": "/sdapi/v1/txt2img",
        "payload": {
            "prompt": form.format(colour=colour, digit=DIGITS[digit], background=background),
            "seed": 1000 + number,
            "width": 32,
            "height": 32,
            "sampler_name": "DPM++ 2M",
            "steps": STEPS[number % len(STEPS)],
            "cfg_scale": 4,
        },
        "context": {"digit": digit},
    }


def _palettes() -> list[tuple[str, str]]:
    return [pair for pair in itertools.product(COLOURS, BACKGROUNDS) if pair[0] != pair[1]]
