# SPDX-License-Identifier: Apache-2.0
"""What is asked for through the queue is what is drawn: digits, from nothing, from a picture, and under a mask."""

from __future__ import annotations

import base64
import io
import typing as t

import numpy as np
import pytest
from PIL import Image

from tests.worker.harness import Deployment
from training.captions import DIGIT_WORDS
from training.measure import orders
from training.reader import read_digits

HOW = {"sampler_name": "DPM++ 2M", "steps": 10, "cfg_scale": 5.0}
SEEDS = range(101, 111)


def pictures(digits: Deployment, api: str, payloads: t.Sequence[dict[str, t.Any]]) -> list[Image.Image]:
    """Sent all at once, so that they are drawn together."""
    sent = [digits.send({"api": f"/sdapi/v1/{api}", "payload": {**HOW, **payload}}) for payload in payloads]
    results = [digits.wait(request_id) for request_id in sent]
    assert {result["status"] for result in results} == {"succeeded"}
    return [Image.open(io.BytesIO(digits.read(result["images"][0]["key"]))).convert("RGB") for result in results]


def text(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture(scope="module")
def reds(digits: Deployment) -> list[Image.Image]:
    """A red digit of each kind."""
    return pictures(digits, "txt2img", [red(digit) for digit in range(10)])


def red(digit: int) -> dict[str, t.Any]:
    """That digit in red on black."""
    return {"prompt": f"the red digit {DIGIT_WORDS[digit]} on a black background", "seed": SEEDS[digit]}


def blue(digit: int, picture: Image.Image, **more: t.Any) -> dict[str, t.Any]:
    """The next kind of digit, in blue on white, from that picture."""
    prompt = f"the blue digit {DIGIT_WORDS[(digit + 1) % 10]} on a white background"
    return {"prompt": prompt, "seed": SEEDS[digit], "init_images": [text(picture)], **more}


def test_the_digits_drawn_are_the_digits_asked_for(digits: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = orders(2)
    drawn = pictures(digits, "txt2img", [{"prompt": order.prompt, "seed": order.seed} for order in wanted])
    right = sum(read == order.digit for read, order in zip(read_digits(drawn), wanted, strict=True))
    with capsys.disabled():
        print(f"\nthrough the queue: {right} of {len(wanted)} digits read as asked")
    assert right >= 0.95 * len(wanted)


def test_img2img_draws_what_is_asked_for_out_of_another_picture(
    digits: Deployment, reds: list[Image.Image], capsys: pytest.CaptureFixture[str]
) -> None:
    payloads = [blue(digit, one, denoising_strength=0.6) for digit, one in enumerate(reds)]
    drawn = pictures(digits, "img2img", payloads)
    right = sum(read == (digit + 1) % 10 for digit, read in enumerate(read_digits(drawn)))
    with capsys.disabled():
        print(f"\nimg2img at 0.6: {right} of {len(drawn)} digits read as asked")
    assert right >= 7
    assert np.mean([np.asarray(image)[:4].mean() for image in drawn]) > 128  # the background turned from black to white


def test_img2img_keeps_what_the_prompt_says_too(digits: Deployment, reds: list[Image.Image]) -> None:
    def change(strength: float) -> float:
        payloads = [{**red(digit), "init_images": [text(one)]} for digit, one in enumerate(reds)]
        drawn = pictures(digits, "img2img", [{**payload, "denoising_strength": strength} for payload in payloads])
        return float(np.mean([difference(one, other) for one, other in zip(drawn, reds, strict=True)]))

    assert change(0.0) == 0
    assert 0 < change(0.3) < 8


@pytest.mark.parametrize("full_res", [False, True])
def test_inpaint_changes_what_is_masked_and_keeps_the_rest(
    digits: Deployment, reds: list[Image.Image], full_res: bool
) -> None:
    mask = Image.new("L", (32, 32), 0)
    mask.paste(255, (0, 0, 16, 32))
    fields = {"mask": text(mask), "mask_blur": 0, "denoising_strength": 1.0, "inpaint_full_res": full_res}
    drawn = pictures(digits, "img2img", [blue(digit, one, **fields) for digit, one in enumerate(reds)])
    right, left = (16, 0, 32, 32), (0, 0, 16, 32)
    assert all(difference(one.crop(right), other.crop(right)) == 0 for one, other in zip(drawn, reds, strict=True))
    assert np.mean([difference(one.crop(left), other.crop(left)) for one, other in zip(drawn, reds, strict=True)]) > 16


def test_pictures_come_from_the_deployments_inputs_and_from_nowhere_else(
    digits: Deployment, reds: list[Image.Image]
) -> None:
    data = base64.b64decode(text(reds[3]))
    for key in ("inputs/three.png", "state/three.png", "inputs/half.png"):
        digits.s3.put_object(Bucket=digits.bucket, Key=key, Body=data[:-400] if "half" in key else data)
    own = f"s3://{digits.bucket}"
    [there] = pictures(digits, "img2img", [blue(3, reds[3], denoising_strength=0.0)])
    [from_bucket] = pictures(
        digits, "img2img", [{"init_images": [f"{own}/inputs/three.png"], "denoising_strength": 0.0}]
    )
    assert difference(there, from_bucket) == 0
    refused = {
        f"{own}/inputs/none.png": "does not exist",
        f"{own}/state/three.png": "nothing else is fetched",
        f"{own}/inputs/../state/three.png": "nothing else is fetched",
        "s3://another-bucket/inputs/three.png": "nothing else is fetched",
        f"{digits.endpoint}/{digits.bucket}/inputs/three.png": "nothing else is fetched",
        f"{own}/inputs/half.png": "damaged",
    }
    for address, reason in refused.items():
        sent = digits.send({"api": "/sdapi/v1/img2img", "payload": {"init_images": [address]}})
        error = digits.wait(sent)["error"]
        assert error["type"] == "invalid_request"
        assert error["message"].startswith("payload.init_images[0]: ")
        assert reason in error["message"]


def difference(one: Image.Image, other: Image.Image) -> float:
    """Of a channel of a pixel, on average."""
    return float(np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int)).mean())
