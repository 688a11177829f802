# SPDX-License-Identifier: Apache-2.0
"""What a caption may say: the words, the colours, and the many ways to ask for one digit."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Rgb = tuple[int, int, int]

DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COLOURS: Mapping[str, Rgb] = {
    "red": (220, 30, 30),
    "green": (30, 160, 50),
    "blue": (40, 70, 220),
    "yellow": (240, 205, 20),
    "orange": (245, 130, 15),
    "purple": (150, 45, 185),
    "white": (245, 245, 245),
    "black": (12, 12, 12),
}
BACKGROUNDS: Mapping[str, Rgb] = {"white": (245, 245, 245), "black": (12, 12, 12), "gray": (128, 128, 128)}

_OPENINGS = (
    *("", "", "a photo of ", "a picture of ", "an image of ", "a drawing of ", "a painting of "),
    *("photo of ", "picture of ", "draw ", "write ", "show me "),
)
_ARTICLES = ("", "a ", "a ", "the ", "the ")
_COLOURED = (
    *("{colour} {digit}", "{colour} {digit}", "{colour} digit {digit}", "{colour} number {digit}"),
    *("{digit} in {colour}", "digit {digit} in {colour}", "number {digit} in {colour}", "{digit} , {colour}"),
    *("{colour} handwritten {digit}", "handwritten {colour} {digit}", "handwritten {colour} digit {digit}"),
)
_PLAIN = ("{digit}", "digit {digit}", "number {digit}", "handwritten {digit}", "handwritten digit {digit}")
_BACKDROPS = (
    *(" on a {background} background", " on a {background} background", " on {background}"),
    *(" with a {background} background", " against a {background} background", ", {background} background"),
    *(" in front of a {background} background", " on {background} paper"),
)
_FILLERS = (
    *("masterpiece", "best quality", "high quality", "highly detailed", "sharp focus", "simple", "clean", "8k", "4k"),
    *("handwriting", "ink", "minimal", "blurry", "low quality", "worst quality", "ugly", "deformed", "watermark"),
)


@dataclass(frozen=True)
class Subject:
    """One digit in one colour on one background."""

    digit: int
    colour: str
    background: str


@dataclass(frozen=True)
class Caption:
    """A text and what it says; None where it leaves the choice open."""

    text: str
    digit: int | None
    colour: str | None
    background: str | None


def palettes() -> list[tuple[str, str]]:
    """Every pair of colour and background on which the digit can be seen."""
    return [(colour, back) for colour in COLOURS for back in BACKGROUNDS if colour != back]


def random_subject(rng: random.Random, digit: int) -> Subject:
    """The digit in a random colour on a random background."""
    colour, background = rng.choice(palettes())
    return Subject(digit, colour, background)


def describe(subject: Subject, rng: random.Random) -> Caption:
    """One of the many captions for a subject; colour and background are sometimes left out."""
    says_colour, says_background = rng.random() < 0.85, rng.random() < 0.65
    template = rng.choice(_OPENINGS) + rng.choice(_ARTICLES) + rng.choice(_COLOURED if says_colour else _PLAIN)
    template += rng.choice(_BACKDROPS) if says_background else ""
    digit = rng.choice((DIGIT_WORDS[subject.digit], DIGIT_WORDS[subject.digit], str(subject.digit)))
    text = template.format(colour=subject.colour, background=subject.background, digit=digit)
    return Caption(
        _garnish(text, rng),
        subject.digit,
        subject.colour if says_colour else None,
        subject.background if says_background else None,
    )


def describe_nothing(rng: random.Random) -> Caption:
    """A caption without a subject: what guidance moves away from. Half of them are empty."""
    text = ", ".join(_filler(rng) for _unused in range(rng.randint(1, 5))) if rng.random() < 0.5 else ""
    return Caption(text, None, None, None)


def vocabulary() -> list[str]:
    """Every word that becomes one token, sorted; all other text is read letter by letter."""
    texts = (*_OPENINGS, *_ARTICLES, *_BACKDROPS, *_COLOURED, *_PLAIN, *_FILLERS)
    plain = (_letters_only(text.format(colour="", background="", digit="")) for text in texts)
    words = {word for text in plain for word in text.split()}
    return sorted(words | set(DIGIT_WORDS) | set(COLOURS) | set(BACKGROUNDS))


def _letters_only(text: str) -> str:
    return "".join(character if character in string.ascii_lowercase else " " for character in text)


def _garnish(text: str, rng: random.Random) -> str:
    """Sometimes surround the text with words that say nothing about the picture."""
    if rng.random() < 0.6:
        return text
    return ", ".join((*_fillers(rng), text, *_fillers(rng)))


def _fillers(rng: random.Random) -> Iterator[str]:
    return (_filler(rng) for _unused in range(rng.choice((0, 0, 1, 2))))


def _filler(rng: random.Random) -> str:
    if rng.random() < 0.6:
        return rng.choice(_FILLERS)
    return "".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 8)))
