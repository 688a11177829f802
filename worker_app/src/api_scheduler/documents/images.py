# SPDX-License-Identifier: Apache-2.0
"""Pictures in requests: from base64, or from the deployment's own ``inputs/``, to pixels. Nothing comes from a URL."""

from __future__ import annotations

import base64
import binascii
import io
import re

import numpy as np
from PIL import Image, ImageOps, WebPImagePlugin

from api_scheduler.documents.envelope import InvalidRequest
from api_scheduler.documents.terms import Terms
from api_scheduler.documents.words import shown

Image.preinit()  # all decoders that are used are loaded now, and not with the first picture
FORMATS = ("PNG", "JPEG", WebPImagePlugin.WebPImageFile.format)
_PHONE = "MPO"
"""A JPEG with further pictures behind it (a preview, a map of depths): the first one is meant."""
INPUTS = "inputs/"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_DATA = re.compile(r"data:[\w/+.-]*;base64,", re.ASCII)
_BLANKS = str.maketrans("", "", " \t\r\n")
# Pillow's own limit is a warning on standard error first and then another message: the one here is checked below.
Image.MAX_IMAGE_PIXELS = None
_MAX_KEY = 1024
_MAX_SIDE = 16384
"""A strip of few pixels but a great length would take gigabytes and seconds to bring to size."""
_WHITE = (255, 255, 255, 255)


def load(text: str, where: str, terms: Terms) -> Image.Image:
    """The picture that a field holds or names, upright. Raises InvalidRequest, which names the field."""
    data = _from_bucket(text, where, terms) if _ADDRESS.match(text) else _from_text(text, where)
    if len(data) > terms.limits.image_bytes:
        raise InvalidRequest(f"payload.{where}: more than the {terms.limits.image_bytes} bytes allowed here")
    return _decoded(data, where, terms)


def rgb(image: Image.Image) -> Image.Image:
    """Without transparency: what shows through is white, as in that API."""
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image)
    return image.convert("RGB")


def grey(image: Image.Image) -> Image.Image:
    """As a mask: its transparency where it has any, else its brightness."""
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    return image.convert("L") if alpha is None or alpha.getextrema() == (255, 255) else alpha


def _from_bucket(text: str, where: str, terms: Terms) -> bytes:
    own = f"s3://{terms.bucket}/{INPUTS}"
    key = text.removeprefix(f"s3://{terms.bucket}/")
    if not terms.bucket or not text.startswith(own) or not _plain_key(key):
        raise InvalidRequest(f"payload.{where}: {shown(text)} is not below {own}, and nothing else is fetched")
    data = terms.read(key, terms.limits.image_bytes + 1)
    if data is None:
        raise InvalidRequest(f"payload.{where}: {shown(text)} does not exist; upload it before the request is sent")
    return data


def _plain_key(key: str) -> bool:
    """Whether a key means the same to everyone on its way: no steps up, nothing empty, nothing invisible."""
    parts = key.split("/")
    return len(key.encode()) <= _MAX_KEY and key.isprintable() and not {"", ".", ".."} & set(parts)


def _from_text(text: str, where: str) -> bytes:
    prefix = _DATA.match(text)
    body = text[prefix.end() :] if prefix else text
    try:
        return base64.b64decode(body.translate(_BLANKS), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(
            f"payload.{where}: {shown(text[:40])} is no base64 ({error}); "
            "send a picture's bytes in base64, or its s3:// address"
        ) from None


def _decoded(data: bytes, where: str, terms: Terms) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception:  # noqa: BLE001 decoders of foreign bytes fail in every way there is
        raise InvalidRequest(f"payload.{where}: no picture in one of the formats {', '.join(FORMATS)}") from None
    if image.width * image.height > terms.limits.image_pixels:
        size, limit = f"{image.width} × {image.height}", terms.limits.image_pixels
        raise InvalidRequest(f"payload.{where}: {size} pixels are more than the {limit} allowed here")
    if max(image.size) > _MAX_SIDE:
        size = f"{image.width} × {image.height}"
        raise InvalidRequest(f"payload.{where}: {size} has a side of more than {_MAX_SIDE} pixels")
    if getattr(image, "n_frames", 1) > 1 and image.format != _PHONE:
        raise InvalidRequest(f"payload.{where}: moves; send a picture of one frame")
    try:
        image.load()
        return _plain_mode(ImageOps.exif_transpose(image))
    except Exception as error:  # noqa: BLE001 decoders of damaged pictures fail in every way there is
        raise InvalidRequest(f"payload.{where}: the picture is damaged ({shown(str(error))})") from None


def _plain_mode(image: Image.Image) -> Image.Image:
    """As RGB, RGBA or L."""
    if image.mode.startswith("I"):
        # Sixteen bits a pixel: Pillow would cut them off at 255.
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in ("RGB", "L") else image.convert("RGB")
