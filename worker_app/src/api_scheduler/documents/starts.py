# SPDX-License-Identifier: Apache-2.0
"""What img2img begins with: the picture and the mask of a payload, at the size that is drawn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter, ImageOps

from api_scheduler.documents import images
from api_scheduler.documents.drawing import Paste, Pixels, Start
from api_scheduler.documents.envelope import InvalidRequest
from api_scheduler.documents.payload import Img2Img
from api_scheduler.documents.terms import Terms

_CROP, _FIT = 1, 2
_SURROUNDINGS, _ORIGINAL = 0, 1
_NEUTRAL_GREY = 127
_WHITE_ABOVE = 128
Box = tuple[int, int, int, int]


def start(payload: Img2Img, terms: Terms, size: tuple[int, int]) -> Start:
    """The start of a drawing of that width and height. Raises InvalidRequest."""
    picture = images.rgb(images.load(payload.init_images[0], "init_images[0]", terms))
    if payload.mask is None:
        return Start(_pixels(resized(picture, size, payload.resize_mode)), payload.denoising_strength)
    mask = _mask(payload, images.grey(images.load(payload.mask, "mask", terms)), picture.size)
    part = _part(payload, picture, mask, size) if payload.inpaint_full_res else None
    if part is None:
        picture, mask = (resized(image, size, payload.resize_mode) for image in (picture, mask))
        part = (0, 0, *size)
    paste = Paste(_pixels(picture), _pixels(mask), part)
    below, within = (image.crop(part).resize(size, Image.Resampling.LANCZOS) for image in (picture, mask))
    if payload.inpainting_fill == _SURROUNDINGS:
        below = _filled(below, within)
    return Start(_pixels(below), payload.denoising_strength, _pixels(within), paste)


def resized(image: Image.Image, size: tuple[int, int], mode: int) -> Image.Image:
    """At that size: stretched, cropped, or fitted with its edges repeated."""
    if mode == _CROP:
        return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    if mode != _FIT:
        return image.resize(size, Image.Resampling.LANCZOS)
    scale = min(size[0] / image.width, size[1] / image.height)
    inner = (min(size[0], max(1, round(image.width * scale))), min(size[1], max(1, round(image.height * scale))))
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    sides = [(top, size[1] - inner[1] - top), (left, size[0] - inner[0] - left)]
    pixels = _pixels(image.resize(inner, Image.Resampling.LANCZOS))
    return Image.fromarray(np.pad(pixels, sides + [(0, 0)] * (pixels.ndim - 2), mode="edge"))


def _mask(payload: Img2Img, mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    if payload.inpainting_fill not in (_SURROUNDINGS, _ORIGINAL):
        raise InvalidRequest(
            f"payload.inpainting_fill: {payload.inpainting_fill} (latent noise or nothing) is not supported; "
            "write 0 or 1, with a high denoising_strength"
        )
    if mask.size != size:
        mask = mask.resize(size, Image.Resampling.LANCZOS)
    if payload.mask_round:
        mask = mask.point([255 if value > _WHITE_ABOVE else 0 for value in range(256)])
    if payload.inpainting_mask_invert:
        mask = ImageOps.invert(mask)
    if mask.getbbox() is None:
        raise InvalidRequest("payload.mask: marks nothing to draw anew; white is drawn, black is kept")
    blur = (payload.mask_blur_x, payload.mask_blur_y)
    return mask.filter(ImageFilter.GaussianBlur(blur if payload.mask_blur is None else payload.mask_blur))


def _part(payload: Img2Img, picture: Image.Image, mask: Image.Image, size: tuple[int, int]) -> Box | None:
    """The part of the picture that holds the mask, in the shape of what is drawn as far as the picture allows."""
    marked = mask.getbbox()
    if marked is None:  # one faint pixel that the blur spread out to nothing
        return None
    across = _padded(marked[0], marked[2], payload.inpaint_full_res_padding, picture.width)
    down = _padded(marked[1], marked[3], payload.inpaint_full_res_padding, picture.height)
    width, height = across[1] - across[0], down[1] - down[0]
    across = _stretched(*across, round(height * size[0] / size[1]), picture.width)
    down = _stretched(*down, round(width * size[1] / size[0]), picture.height)
    return across[0], down[0], across[1], down[1]


def _padded(low: int, high: int, padding: int, end: int) -> tuple[int, int]:
    return max(0, low - padding), min(end, high + padding)


def _stretched(low: int, high: int, length: int, end: int) -> tuple[int, int]:
    """At least that long, about the same middle, and within 0 and the end."""
    length = min(max(length, high - low), end)
    low = min(max(0, (low + high - length) // 2), end - length)
    return low, low + length


def _filled(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """With the colours around the mask spread over what it marks, the nearest ones last."""
    keep = (1.0 - np.asarray(mask, dtype=np.float32)[..., None] / 255).astype(np.float32)
    colours = (np.asarray(picture, dtype=np.float32) * keep).astype(np.float32)
    spread = np.full(colours.shape, _NEUTRAL_GREY, dtype=np.float32)
    side = 1 << max(picture.size).bit_length()
    while side >= 2:
        weight = _means(keep, side)
        known = weight > 0.01
        spread = np.where(known, _means(colours, side) / np.maximum(weight, 0.01), spread)
        side //= 2
    return Image.fromarray((colours + spread * (1 - keep)).clip(0, 255).astype(np.uint8))


def _means(values: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float32]:
    """The mean around each pixel, over about that many pixels across."""
    height, width = values.shape[:2]
    small = (max(1, width // side), max(1, height // side))
    channels = [
        Image.fromarray(np.ascontiguousarray(values[..., channel]))
        .resize(small, Image.Resampling.BOX)
        .resize((width, height), Image.Resampling.BILINEAR)
        for channel in range(values.shape[2])
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


def _pixels(image: Image.Image) -> Pixels:
    return np.asarray(image, dtype=np.uint8)
