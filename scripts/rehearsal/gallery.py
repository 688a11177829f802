# SPDX-License-Identifier: GPL-3.0-or-later
"""Every picture of the demo on the disk, and the independent reader's opinion of it."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import typing as t
from pathlib import Path

from PIL import Image

from .account import Account
from .checks import Check
from .stage import ROOT, DemoFailed

LEAST_CONFIRMED = 0.9


def collect(account: Account, results: t.Mapping[str, t.Mapping[str, t.Any]], folder: Path) -> dict[str, Path]:
    """Save the first picture of each success that can be read; by the request's id."""
    folder.mkdir(parents=True, exist_ok=True)
    saved: dict[str, Path] = {}
    for name, result in results.items():
        for image in result["images"][:1]:
            content = account.read(image["key"])
            if is_readable(content, image):
                saved[name] = folder / f"{name}.png"
                saved[name].write_bytes(content)
    return saved


def is_readable(content: bytes, image: t.Mapping[str, t.Any]) -> bool:
    """Whether the bytes are the picture that the result tells of, and decode to its size."""
    try:
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
            size = picture.size
    except (OSError, ValueError):
        return False
    return size == (image["width"], image["height"]) and hashlib.sha256(content).hexdigest() == image["sha256"]


def read_digits(pictures: t.Mapping[str, Path], digits: t.Mapping[str, int]) -> dict[str, t.Any]:
    """The tally of the classifier, which was trained on data that the model never saw."""
    entries = [{"path": str(path), "digit": digits[name]} for name, path in pictures.items()]
    command = [str(ROOT / ".venv/worker/bin/python"), "-m", "training.reader", "-"]
    done = subprocess.run(
        command, cwd=ROOT / "worker_app", input=json.dumps(entries), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DemoFailed(f"the classifier failed: {done.stderr.strip()[-400:]}")
    return t.cast(dict[str, t.Any], json.loads(done.stdout))


def picture_checks(accepted: int, readable: int, tally: t.Mapping[str, t.Any]) -> list[Check]:
    """Every request has a readable picture, and of the digit asked for where the engine draws any."""
    there = Check("a readable picture for each request", readable == accepted, f"{readable} of {accepted}")
    if not tally:
        return [there]
    confirmed = f"{tally['confirmed']} of {tally['total']} ({tally['share']:.1%})"
    return [
        there,
        Check("pictures in which the classifier reads the digit", tally["share"] >= LEAST_CONFIRMED, confirmed),
    ]
