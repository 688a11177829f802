# SPDX-License-Identifier: Apache-2.0
"""PNG files that carry their parameters in text, as the AUTOMATIC1111 API's do."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from api_scheduler import __version__
from api_scheduler.documents.drawing import Drawing
from api_scheduler.engines.base import Picture

_FAST = 1  # zlib's level: the default takes five times as long for files a tenth smaller


def finished(picture: Picture, drawing: Drawing) -> Picture:
    """What was drawn, put into the picture that inpaint keeps; anything else as it is."""
    paste = drawing.start.paste if drawing.start else None
    if paste is None:
        return picture
    left, top, right, bottom = paste.box
    whole, part = Image.fromarray(paste.picture), Image.fromarray(picture)
    over = whole.copy()
    over.paste(part.resize((right - left, bottom - top), Image.Resampling.LANCZOS), (left, top))
    return np.asarray(Image.composite(over, whole, Image.fromarray(paste.mask)))


def infotext(drawing: Drawing, seed: int) -> str:
    """The parameters of one picture in that API's own form."""
    lines = [drawing.prompt + "".join(f" <lora:{lora.name}:{lora.weight:g}>" for lora in drawing.loras)]
    if drawing.negative_prompt:
        lines.append(f"Negative prompt: {drawing.negative_prompt}")
    strength = f"Denoising strength: {drawing.start.strength:g}, " if drawing.start else ""
    clip = f"Clip skip: {drawing.clip_skip + 1}, " if drawing.clip_skip else ""
    eta = "".join(f"Eta: {value:g}, " for value in drawing.sampler.at_each_step.values())
    lines.append(
        f"Steps: {drawing.steps}, Sampler: {drawing.sampler.name}, Schedule type: {drawing.sampler.schedule}, "
        f"CFG scale: {drawing.cfg_scale:g}, Seed: {seed}, Size: {drawing.width}x{drawing.height}, {strength}{eta}{clip}"
        f"Version: api-scheduler {__version__}"
    )
    return "\n".join(lines)


def encode(picture: Picture, text: str) -> bytes:
    """The PNG file of a picture."""
    info = PngInfo()
    # Latin-1 text is what that API's readers expect; anything else needs the international chunk.
    if text.isascii():
        info.add_text("parameters", text)
    else:
        info.add_itxt("parameters", text)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", pnginfo=info, compress_level=_FAST)
    return buffer.getvalue()
