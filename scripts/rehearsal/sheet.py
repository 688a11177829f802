# SPDX-License-Identifier: GPL-3.0-or-later
"""The contact sheet: the pictures of the first release with what was asked for."""

from __future__ import annotations

import dataclasses
import math
import textwrap
import typing as t
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SIDE = 160
CAPTION = 44
GAP = 12
COLUMNS = 6
PAPER, INK = (250, 250, 248), (40, 40, 40)


@dataclasses.dataclass(frozen=True)
class Print:
    """One picture on the sheet."""

    path: Path
    prompt: str
    seed: int

    @property
    def caption(self) -> str:
        """What stands under it."""
        return "\n".join([*textwrap.wrap(self.prompt, 27)[:2], f"seed {self.seed}"])


def contact_sheet(prints: t.Sequence[Print], target: Path) -> None:
    """Write the sheet as a PNG file."""
    columns = min(COLUMNS, len(prints))
    rows = math.ceil(len(prints) / COLUMNS)
    sheet = Image.new("RGB", (GAP + columns * (SIDE + GAP), GAP + rows * (SIDE + CAPTION + GAP)), PAPER)
    font = ImageFont.load_default(size=11)
    draw = ImageDraw.Draw(sheet)
    for index, one in enumerate(prints):
        row, column = divmod(index, COLUMNS)
        left, top = GAP + column * (SIDE + GAP), GAP + row * (SIDE + CAPTION + GAP)
        sheet.paste(scaled(one.path), (left, top))
        draw.multiline_text((left, top + SIDE + 3), one.caption, fill=INK, font=font, spacing=1)
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(target)


def scaled(path: Path) -> Image.Image:
    """The picture at the size of the sheet, its pixels kept apart."""
    with Image.open(path) as picture:
        return picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.NEAREST)
