# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""How far pictures of the same seed are apart on two releases. Pure, but for Pillow, which is optional.

The distance is the mean absolute difference of the 8-bit red, green and blue values, from 0 (the same picture) to 255.
Pictures of different sizes are 255 apart.
"""

from __future__ import annotations

import dataclasses
import io
import statistics
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.verdict import Verdict

try:
    from PIL import Image, ImageChops, ImageStat

    HAS_PILLOW = True
except ImportError:
    HAS_PILLOW = False

FARTHEST = 255.0
Golden = t.Literal["off", "warn", "fail"]


@dataclasses.dataclass(frozen=True)
class Pictures:
    """What was compared."""

    wanted: int
    """Smoke requests that both releases were sent."""
    distances: tuple[float, ...] = ()
    note: str = ""
    """Why nothing could be compared."""

    def as_dict(self) -> dict[str, t.Any]:
        """For results and the history."""
        return {
            "wanted": self.wanted,
            "compared": len(self.distances),
            "mean": round(statistics.fmean(self.distances), 3) if self.distances else None,
            "worst": round(max(self.distances), 3) if self.distances else None,
            "note": self.note,
        }


def distance(ours: bytes, theirs: bytes) -> float:
    """The distance of two picture files.

    Raises: OSError for what is no picture.
    """
    with Image.open(io.BytesIO(ours)) as left, Image.open(io.BytesIO(theirs)) as right:
        if left.size != right.size:
            return FARTHEST
        difference = ImageChops.difference(left.convert("RGB"), right.convert("RGB"))
        return statistics.fmean(ImageStat.Stat(difference).mean)


def weigh(verdict: Verdict, pictures: Pictures, golden: Golden, limit: float) -> Verdict:
    """The verdict with the pictures taken into account: with ``fail`` a pass needs every one of them, and near."""
    seen = pictures.as_dict()
    outcome, sentence = verdict.outcome, f"{verdict.sentence}; {_words(pictures)}"
    if seen["mean"] is not None and seen["mean"] > limit:
        text = f"smoke pictures are {seen['mean']:.1f} of 255 from stable's, more than {limit:g}"
        if golden == "fail":
            outcome, sentence = "fail", f"{text} ({verdict.sentence})"
        else:
            sentence = f"{verdict.sentence}; warning: {text}"
    elif golden == "fail" and len(pictures.distances) < pictures.wanted:
        outcome = "inconclusive"
        sentence = f"{_words(pictures)} ({verdict.sentence})"
    return dataclasses.replace(verdict, outcome=outcome, sentence=sentence, pictures=seen)


def _words(pictures: Pictures) -> str:
    if pictures.note:
        return f"smoke pictures not compared: {pictures.note}"
    if not pictures.distances:
        return f"0 of {pictures.wanted} smoke pictures drawn by both releases"
    mean, count = statistics.fmean(pictures.distances), len(pictures.distances)
    return f"{count} of {pictures.wanted} smoke pictures compared, {mean:.1f} of 255 apart"
