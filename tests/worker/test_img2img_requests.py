# SPDX-License-Identifier: Apache-2.0
"""img2img and inpaint payloads: pictures in, what is drawn from, and what is put back around a drawing."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import struct
import typing as t
import zlib

import numpy as np
import pytest
from PIL import Image

from api_scheduler import pictures
from api_scheduler.documents import envelope
from api_scheduler.documents.drawing import Drawing, Paste, Start
from api_scheduler.documents.envelope import InvalidRequest
from api_scheduler.documents.parse import parse
from api_scheduler.documents.terms import Terms
from api_scheduler.settings import Limits

LIMITS = Limits(image_bytes=200_000, image_pixels=100 * 100)
OBJECTS: dict[str, bytes] = {}
TERMS = Terms(LIMITS, 64, bucket="own", read=lambda key, most: OBJECTS[key][:most] if key in OBJECTS else None)


def drawn(terms: Terms = TERMS, **payload: t.Any) -> Drawing:
    body = json.dumps({"api": envelope.IMG2IMG, "payload": payload}).encode()
    return parse(envelope.decode(body, "message", terms.limits.body_bytes), terms)


def started(**payload: t.Any) -> Start:
    start = drawn(**payload).start
    assert start is not None
    return start


def pasted(**payload: t.Any) -> Paste:
    paste = started(**payload).paste
    assert paste is not None
    return paste


def refusal(**payload: t.Any) -> str:
    with pytest.raises(InvalidRequest) as refused:
        drawn(**payload)
    return str(refused.value)


def encoded(image: Image.Image, form: str = "PNG", **options: t.Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def gradient(width: int = 64, height: int = 64) -> Image.Image:
    """Red grows to the right, green downwards."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width).astype(np.uint8)
    pixels[..., 1] = np.linspace(0, 255, height).astype(np.uint8)[:, None]
    return Image.fromarray(pixels)


def mask_of(box: tuple[int, int, int, int], width: int = 64, height: int = 64) -> str:
    """White in the box."""
    image = Image.new("L", (width, height), 0)
    image.paste(255, box)
    return text(encoded(image))


GRADIENT = text(encoded(gradient()))
WHOLE = {"init_images": [GRADIENT], "width": 64, "height": 64}
SHARP = {**WHOLE, "mask_blur": 0, "inpainting_fill": 1, "inpaint_full_res": False}


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,", "data:;base64,"])
def test_a_picture_in_base64_is_drawn_from(prefix: str) -> None:
    start = started(**{**WHOLE, "init_images": [prefix + GRADIENT]}, denoising_strength=0.6)
    assert np.array_equal(start.picture, np.asarray(gradient()))
    assert (start.strength, start.mask, start.paste) == (0.6, None, None)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_picture_comes_in_each_format(form: str) -> None:
    picture = started(**{**WHOLE, "init_images": [text(encoded(gradient(), form))]}).picture
    assert np.abs(picture.astype(int) - np.asarray(gradient()).astype(int)).mean() < 6


def test_a_picture_lies_in_the_deployments_own_inputs() -> None:
    OBJECTS["inputs/a/b.png"] = encoded(gradient())
    picture = started(**{**WHOLE, "init_images": ["s3://own/inputs/a/b.png"]}).picture
    assert np.array_equal(picture, np.asarray(gradient()))


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/a.png",
        "https://169.254.169.254/latest",
        "file:///etc/passwd",
        "s3://other/inputs/a.png",
        "s3://own/results/a.png",
        "s3://own/inputs",
        "s3://own/inputs/",
        "s3://own/inputs/../state/a.json",
        "s3://own/inputs//a.png",
        "s3://own/inputs/./a.png",
        "s3://own/inputs/a\u0000.png",
        "s3://own/inputs/" + "a" * 1100,
        "S3://own/inputs/a.png",
    ],
)
def test_nothing_else_is_fetched(address: str) -> None:
    def read(_key: str, _most: int) -> bytes | None:
        raise AssertionError("read")

    for field in ("init_images[0]", "mask"):
        fields = {**WHOLE, "mask": address} if field == "mask" else {**WHOLE, "init_images": [address]}
        with pytest.raises(InvalidRequest) as refused:
            drawn(dataclasses.replace(TERMS, read=read), **fields)
        assert str(refused.value).startswith(f"payload.{field}: ")
        assert "nothing else is fetched" in str(refused.value)


def test_a_deployment_without_a_bucket_fetches_nothing() -> None:
    with pytest.raises(InvalidRequest, match="nothing else is fetched"):
        drawn(Terms(LIMITS, 64), **{**WHOLE, "init_images": ["s3:///inputs/a.png"]})


def test_a_missing_upload_is_named() -> None:
    assert "does not exist" in refusal(**{**WHOLE, "init_images": ["s3://own/inputs/none.png"]})


Chunk = tuple[bytes, bytes]


def header(width: int, height: int) -> Chunk:
    """The first chunk of a PNG, in true colours."""
    return b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)


def png(*chunks: Chunk) -> bytes:
    """A PNG of these chunks, whatever they say, with 8 × 8 black pixels after the first."""
    whole = [*chunks[:1], (b"IDAT", zlib.compress(bytes(8 * 25))), *chunks[1:], (b"IEND", b"")]
    framed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in whole
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


BROKEN = {
    "no base64": ("§§§", "no base64"),
    "half base64": (GRADIENT[:-1], "no base64"),
    "empty": ("", "no picture"),
    "text": (text(b"hello"), "no picture"),
    "truncated": (text(encoded(Image.effect_noise((90, 90), 50))[:-2000]), "damaged"),
    "gif": (text(encoded(gradient(), "GIF")), "no picture"),
    "bmp": (text(encoded(gradient(), "BMP")), "no picture"),
    "too many pixels": (text(encoded(gradient(101, 100))), "101 × 100 pixels"),
    "bomb": (text(png(header(50_000, 40_000))), "50000 × 40000 pixels"),
    # What Pillow raises for these is no OSError.
    "short header": (text(png((b"IHDR", b"short"))), "no picture"),
    "short chunk after the pixels": (text(png(header(8, 8), (b"gAMA", b"1"))), "damaged"),
    "Exif that is none": (text(png(header(8, 8), (b"eXIf", b"Exif\0\0junk"))), "damaged"),
    "too many bytes": (text(bytes(200_001)), "more than the 200000 bytes"),
    "moving": (
        text(encoded(gradient(), "WEBP", save_all=True, append_images=[gradient().rotate(90)], lossless=True)),
        "moves",
    ),
}


def test_a_strip_is_refused_before_it_takes_gigabytes() -> None:
    strip = text(encoded(Image.new("1", (16385, 1))))
    roomy = dataclasses.replace(TERMS, limits=Limits())
    with pytest.raises(InvalidRequest, match="16385 × 1 has a side of more than 16384"):
        drawn(roomy, init_images=[strip])


def test_of_a_phones_jpeg_the_first_picture_counts() -> None:
    phone = text(encoded(gradient(), "MPO", save_all=True, append_images=[gradient(8, 8)]))
    assert np.abs(started(init_images=[phone]).picture.astype(int) - np.asarray(gradient())).mean() < 5


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_picture_is_refused_with_the_reason(name: str) -> None:
    given, reason = BROKEN[name]
    for fields, where in (({"init_images": [given]}, "init_images[0]"), ({"mask": given}, "mask")):
        message = refusal(**{**WHOLE, **fields})
        assert message.startswith(f"payload.{where}: "), message
        assert reason in message


def test_transparency_becomes_white_and_sixteen_bits_become_eight() -> None:
    clear = Image.new("RGBA", (64, 64), (10, 20, 30, 0))
    assert (started(**{**WHOLE, "init_images": [text(encoded(clear))]}).picture == 255).all()
    deep = Image.fromarray(np.full((64, 64), 0x8000, dtype=np.uint16))
    assert (started(**{**WHOLE, "init_images": [text(encoded(deep))]}).picture == 0x80).all()


def test_a_photograph_lies_as_its_camera_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned = started(**{**WHOLE, "init_images": [text(encoded(gradient(), exif=exif))]}).picture
    assert np.array_equal(turned, np.asarray(gradient())[::-1, ::-1])


def test_resize_modes_stretch_crop_and_fit() -> None:
    wide = text(encoded(gradient(96, 48)))
    stretched, cropped, fitted = (
        started(init_images=[wide], width=48, height=48, resize_mode=mode).picture for mode in (0, 1, 2)
    )
    assert {picture.shape for picture in (stretched, cropped, fitted)} == {(48, 48, 3)}
    assert stretched[20, 0, 0] < 5 and stretched[20, -1, 0] > 250
    assert 55 < cropped[20, 0, 0] < 75 and 180 < cropped[20, -1, 0] < 200
    assert (fitted[0] == fitted[11]).all() and (fitted[-1] == fitted[-11]).all()
    assert "resize_mode" in refusal(init_images=[wide], resize_mode=3)


def test_a_mask_says_what_is_drawn_anew() -> None:
    start = started(**SHARP, mask=mask_of((0, 0, 32, 64)))
    assert start.mask is not None
    assert (start.mask[:, :32] == 255).all() and (start.mask[:, 32:] == 0).all()
    inverted = started(**SHARP, mask=mask_of((0, 0, 32, 64)), inpainting_mask_invert=1)
    assert np.array_equal(255 - start.mask, inverted.mask)


def test_a_transparent_mask_is_its_transparency() -> None:
    image = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    image.paste((0, 0, 0, 255), (0, 0, 16, 64))
    mask = started(**SHARP, mask=text(encoded(image))).mask
    assert mask is not None
    assert (mask[:, :16] == 255).all() and (mask[:, 16:] == 0).all()


def test_a_mask_is_blurred_by_its_blurs_and_rounded_before() -> None:
    grey = Image.new("L", (64, 64), 0)
    grey.paste(200, (0, 0, 32, 64))
    fields = {**SHARP, "mask": text(encoded(grey))}
    rounded, soft = started(**fields).mask, started(**fields, mask_round=False).mask
    across = started(**{**fields, "mask_blur": None}, mask_blur_x=4, mask_blur_y=0).mask
    assert rounded is not None and soft is not None and across is not None
    assert set(np.unique(rounded)) == {0, 255}
    assert set(np.unique(soft)) == {0, 200}
    assert (across == across[0]).all() and len(np.unique(across[0])) > 5


def test_what_the_mask_keeps_is_kept_to_the_pixel() -> None:
    drawing = drawn(**SHARP, mask=mask_of((0, 0, 32, 64)))
    after = pictures.finished(np.full((64, 64, 3), 77, dtype=np.uint8), drawing)
    assert (after[:, :32] == 77).all()
    assert np.array_equal(after[:, 32:], np.asarray(gradient())[:, 32:])


def test_without_a_mask_nothing_is_put_back() -> None:
    picture = np.full((64, 64, 3), 77, dtype=np.uint8)
    assert pictures.finished(picture, drawn(**WHOLE)) is picture


def test_the_masked_part_is_drawn_at_full_size_and_put_back_where_it_was() -> None:
    big = {**SHARP, "init_images": [text(encoded(gradient(100, 80)))], "inpaint_full_res": True}
    paste = pasted(**big, mask=mask_of((60, 20, 80, 30), 100, 80))
    assert paste.box == (60, 15, 80, 35)
    padded = pasted(**big, mask=mask_of((60, 20, 80, 30), 100, 80), inpaint_full_res_padding=40)
    assert padded.box == (20, 0, 100, 80)
    drawing = drawn(**big, mask=mask_of((60, 20, 80, 30), 100, 80))
    assert drawing.start is not None
    assert drawing.start.picture.shape == (64, 64, 3)
    after = pictures.finished(np.full((64, 64, 3), 77, dtype=np.uint8), drawing)
    kept = np.asarray(gradient(100, 80)).copy()
    kept[20:30, 60:80] = 77
    assert np.array_equal(after, kept)


def test_the_masked_part_stays_within_the_picture_at_its_edges() -> None:
    fields = {**SHARP, "inpaint_full_res": True, "width": 64, "height": 128}
    assert pasted(**fields, mask=mask_of((60, 0, 64, 4))).box == (60, 0, 64, 8)
    assert pasted(**fields, mask=mask_of((0, 60, 64, 64))).box == (0, 0, 64, 64)


def test_fill_takes_the_colours_around_the_mask() -> None:
    left, right = Image.new("RGB", (64, 64), (200, 0, 0)), (0, 0, 0)
    left.paste(right, (24, 24, 40, 40))
    fields = {**SHARP, "init_images": [text(encoded(left))], "mask": mask_of((24, 24, 40, 40)), "inpainting_fill": 0}
    picture = started(**fields).picture
    assert (np.abs(picture.astype(int) - (200, 0, 0)).max(axis=-1) <= 3).all()
    original = started(**{**fields, "inpainting_fill": 1}).picture
    assert (original[30, 30] == (0, 0, 0)).all()


def test_a_mask_over_everything_leaves_nothing_to_fill_from() -> None:
    everything = started(**{**SHARP, "inpainting_fill": 0}, mask=mask_of((0, 0, 64, 64)))
    assert (everything.picture == 127).all()


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"mask": mask_of((0, 0, 0, 0))}, "mask"),
        ({"mask": mask_of((0, 0, 64, 64)), "inpainting_mask_invert": True}, "mask"),
        ({"mask": mask_of((0, 0, 8, 8)), "inpainting_fill": 2}, "inpainting_fill"),
        ({"mask": mask_of((0, 0, 8, 8)), "inpainting_fill": 3}, "inpainting_fill"),
        ({"inpainting_fill": 4}, "inpainting_fill"),
        ({"inpainting_fill": True}, "inpainting_fill"),
        ({"inpainting_mask_invert": 2}, "inpainting_mask_invert"),
        ({"inpaint_full_res": "yes"}, "inpaint_full_res"),
        ({"mask_blur": -1}, "mask_blur"),
        ({"mask_blur": 10**9}, "mask_blur"),
        ({"mask": 5}, "mask"),
        ({"init_images": []}, "init_images"),
        ({"init_images": None}, "init_images"),
        ({"init_images": [GRADIENT, GRADIENT]}, "init_images"),
        ({"init_images": [5]}, "init_images[0]"),
        ({"init_images": GRADIENT}, "init_images"),
        ({"denoising_strength": 1.1}, "denoising_strength"),
        ({"denoising_strength": -0.1}, "denoising_strength"),
        ({"initial_noise_multiplier": 1.2}, "initial_noise_multiplier"),
        ({"latent_mask": "x"}, "latent_mask"),
        ({"enable_hr": False}, "enable_hr"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(more: dict[str, t.Any], field: str) -> None:
    assert refusal(**{**WHOLE, **more}).startswith(f"payload.{field}: ")


def test_sizes_left_out_are_the_models_own_and_strength_is_that_apis() -> None:
    drawing = drawn(init_images=[GRADIENT])
    assert (drawing.width, drawing.height) == (64, 64)
    assert drawing.parameters()["denoising_strength"] == 0.75
    assert "Denoising strength: 0.75" in pictures.infotext(drawing, 1)
