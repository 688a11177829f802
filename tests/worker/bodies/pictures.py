# SPDX-License-Identifier: Apache-2.0
"""Pictures as clients send them, and everything else that may stand in their place."""

from __future__ import annotations

import base64
import functools
import io
import struct
import typing as t
import zlib

from hypothesis import strategies as st
from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _COLOUR = 0, 2
FORMATS = ("PNG", "JPEG", "WEBP")
_ALL_FORMATS = (*FORMATS, "GIF", "BMP", "TIFF")
BUCKET = "sd-images-fuzz"
"""The bucket in the addresses of pictures."""


@functools.cache
def picture(side: int = 32, kind: str = "PNG", mode: str = "RGB", other_side: int = 0) -> bytes:
    """A small picture that is not constant."""
    image = Image.radial_gradient("L").resize((side, other_side or side)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def encoded(data: bytes) -> str:
    """As it stands in a payload."""
    return base64.b64encode(data).decode()


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(width: int, height: int, data: bytes, colour: int = _GREY, *extra: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return _SIGNATURE + chunk(b"IHDR", header) + b"".join(extra) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@functools.cache
def zeros(megabytes: int) -> bytes:
    """That many megabytes, deflated to a thousandth."""
    deflate = zlib.compressobj(9)
    return b"".join(deflate.compress(bytes(1 << 20)) for _unused in range(megabytes)) + deflate.flush()


@functools.cache
def bombs() -> dict[str, bytes]:
    """Small files that claim, or really hold, enormous pictures."""
    small = zlib.compress(b"\0" * 33 * 32)
    return {
        "png of 4 Gpx, empty": _png(65535, 65535, b""),
        "png of 2^31 a side": _png(2**31 - 1, 2**31 - 1, small),
        "png of 100 Mpx, real": _png(10000, 10000, zeros(96)),
        "png of 2^24 × 1, real": _png(2**24, 1, zeros(17)),
        "png of 1 × 2^24, real": _png(1, 2**24, zeros(33)),
        "png of 4096 a side, real": _png(4096, 4096, zeros(17)),
        "png of 1 × 2^30": _png(1, 2**30, small),
        "png of no size": _png(0, 0, small),
        "png with 64 MB of text": _png(32, 32, small, _GREY, chunk(b"zTXt", b"a\0\0" + zeros(64))),
        "png with a 64 MB profile": _png(32, 32, small, _GREY, chunk(b"iCCP", b"a\0\0" + zeros(64))),
        "gif of 4 Gpx": b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;",
        "bmp of 2^31 a side": _bmp(2**31 - 1, 2**31 - 1),
        "bmp of negative size": _bmp(-5, -(2**31)),
        "jpeg of 65500 a side": _resized_jpeg(65500),
        "tiff of 2^32 a side": _tiff(2**32 - 1),
        "webp of 16383 a side": _webp(16383),
        "ppm of 10^9 a side": b"P6 1000000000 1000000000 255\n" + b"\0" * 100,
    }


def _bmp(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header + b"\0" * 64


def _resized_jpeg(side: int) -> bytes:
    data = bytearray(picture(32, "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", side, side)
    return bytes(data)


def _webp(side: int) -> bytes:
    bits = (side - 1) | (side - 1) << 14
    body = b"VP8L" + struct.pack("<I", 10) + b"\x2f" + struct.pack("<I", bits) + b"\0" * 5
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _tiff(side: int) -> bytes:
    tags = [
        (256, 4, side),
        (257, 4, side),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (278, 4, side),
        (279, 4, 9),
    ]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + b"\0" * 16


@functools.cache
def strange() -> dict[str, bytes]:
    """Files that are pictures to somebody, and none that should be drawn from."""
    return {
        "empty": b"",
        "text": b"hello",
        "html": b"<html><body>not found</body></html>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\nshowpage\n",
        "pdf": b"%PDF-1.4\n1 0 obj<<>>endobj\n",
        "pickle": b"\x80\x04\x95\x0b\0\0\0\0\0\0\0\x8c\x02os\x94.",
        "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\0",
        "zeros": bytes(1000),
        "signature only": _SIGNATURE,
        "png without end": picture()[:-12],
        "png, wrong sum": picture()[:-20] + b"\0" * 8 + picture()[-12:],
        "jpeg, half": picture(64, "JPEG")[:300],
        "two pictures": picture() + picture(16),
        "im file": b"Image type: RGB image\nFile size (no of images): 1\n",
        "fli": struct.pack("<IHHHH", 128, 0xAF11, 99, 60000, 60000) + bytes(116),
    }


@functools.cache
def inputs() -> dict[str, bytes]:
    """What clients have uploaded, by key."""
    return {
        "inputs/a.png": picture(),
        "inputs/deep/er/ü 1%2F.webp": picture(16, "WEBP"),
        "inputs/bomb": bombs()["png of 100 Mpx, real"],
        "inputs/text": b"hello",
        "inputs/empty": b"",
        "inputs/large": bytes(21 << 20),
    }


def good() -> st.SearchStrategy[str]:
    """Pictures that can be drawn from, as text in a payload."""
    modes = st.sampled_from(["RGB", "L"])
    files = st.builds(picture, st.sampled_from([16, 32, 64]), st.sampled_from(FORMATS), modes).map(encoded)
    transparent = st.builds(picture, st.just(32), st.just("PNG"), st.sampled_from(["RGBA", "LA", "P", "1"])).map(
        encoded
    )
    uploaded = st.sampled_from([f"s3://{BUCKET}/inputs/a.png", f"s3://{BUCKET}/inputs/deep/er/ü 1%2F.webp"])
    return st.one_of(files, transparent, uploaded, files.map(lambda text: "data:image/png;base64," + text))


def masks() -> st.SearchStrategy[str | None]:
    """Masks that are neither black nor white all over."""
    drawn = st.builds(picture, st.sampled_from([16, 32]), st.just("PNG"), st.sampled_from(["L", "RGB", "1"]))
    return st.none() | drawn.map(encoded)


def bad() -> st.SearchStrategy[str]:
    """What stands where a picture should, and is none; or one too large."""
    return st.one_of(
        st.sampled_from(sorted(bombs())).map(lambda name: encoded(bombs()[name])),
        st.sampled_from(sorted(strange())).map(lambda name: encoded(strange()[name])),
        cut_short(),
        flipped(),
        not_base64(),
    )


def cut_short() -> st.SearchStrategy[str]:
    """A good file that ends too early."""
    files = st.builds(picture, st.just(32), st.sampled_from(_ALL_FORMATS))
    return st.tuples(files, st.floats(0, 0.95)).map(lambda pair: encoded(pair[0][: int(len(pair[0]) * pair[1])]))


def flipped() -> st.SearchStrategy[str]:
    """A good file with one byte changed: it may still be a picture."""

    def flip(data: bytes, at: float, value: int) -> str:
        changed = bytearray(data)
        changed[int(at * (len(data) - 1))] = value
        return encoded(bytes(changed))

    files = st.builds(picture, st.just(32), st.sampled_from(FORMATS))
    return st.builds(flip, files, st.floats(0, 1), st.integers(0, 255))


def not_base64() -> st.SearchStrategy[str]:
    """Text that is no base64, or nearly."""
    whole = encoded(picture())
    near: list[t.Any] = ["", "=", "====", "A", whole[:-3], whole + "=", "data:,", "data:image/png;base64,", "é" + whole]
    near += [
        whole[:40] + "!!" + whole[40:],
        whole.replace("A", "-"),
        "data:image/png," + whole,
        whole[::-1],
        " " + whole,
    ]
    return st.one_of(st.sampled_from(near), st.text(max_size=40))


def addresses(canary: str) -> st.SearchStrategy[str]:
    """Places that nothing may be fetched from, and inputs that are not there."""
    hosts = [
        f"{canary}/a.png",
        canary.upper(),
        f" {canary}/b",
        canary.removeprefix("http:"),
        "http://169.254.169.254/latest/meta-data/",
        "https://example.com/a.png",
    ]
    files = [
        "file:///etc/passwd",
        "/etc/passwd",
        "../../etc/passwd",
        "\\\\host\\share\\a.png",
        "ftp://h/a.png",
        "gopher://h/",
    ]
    paths = ["results/x/0.png", "state/x.json", "inputs", "inputs/", "/inputs/a.png", "inputs/../results/x/0.png", ""]
    paths += ["inputs/%2e%2e/results/x/0.png", "inputs%2fa.png", "INPUTS/a.png", "inputs/./a.png", "inputs//a.png"]
    paths += [
        "inputs/a\0.png",
        "inputs/a\nb",
        "ｉnputs/a.png",
        "inputs/" + "a" * 2000,
        "inputs/a.png?versionId=1",
        "inputs/a#b",
    ]
    own = [f"s3://{BUCKET}/{path}" for path in paths]
    buckets = [
        "",
        "other",
        "sd-images-other-123456789012",
        f"{BUCKET}.evil",
        BUCKET.upper(),
        f"user@{BUCKET}",
        "arn:aws:s3:::x",
    ]
    foreign = [f"s3://{name}/inputs/a.png" for name in buckets]
    there = [f"s3://{BUCKET}/{key}" for key in ("inputs/bomb", "inputs/text", "inputs/empty", "inputs/large")]
    odd = [
        f"S3://{BUCKET}/results/x/0.png",
        f"s3:/{BUCKET}/inputs/a.png",
        f"s3:{BUCKET}",
        "s3://",
        "s3:///",
        "s3n://b/k",
    ]
    return st.sampled_from(hosts + files + own + foreign + odd + there)
