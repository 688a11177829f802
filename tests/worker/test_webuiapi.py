# SPDX-License-Identifier: Apache-2.0
"""Calls of the real `webuiapi` client, as they come over the wire, are drawn through the queue."""

from __future__ import annotations

import typing as t

import numpy as np
import pytest
import webuiapi
from PIL import Image

from api_scheduler import samplers
from api_scheduler.documents import envelope
from api_scheduler.documents.fields import FIELDS
from api_scheduler.documents.payload import PAYLOADS
from tests.worker.harness import Deployment
from tests.worker.webui import Webui

SMALL = {"width": 32, "height": 32, "steps": 2}


@pytest.fixture
def webui(digits: Deployment) -> t.Iterator[Webui]:
    webui = Webui(digits)
    yield webui
    webui.close()


@pytest.fixture
def client(webui: Webui) -> t.Any:
    return webuiapi.WebUIApi(host="127.0.0.1", port=webui.port)


def picture() -> Image.Image:
    """Every pixel another colour."""
    return Image.fromarray(np.arange(32 * 32 * 3, dtype=np.uint32).astype(np.uint8).reshape(32, 32, 3))


def half() -> Image.Image:
    """White, which is drawn anew, on the left."""
    mask = Image.new("L", (32, 32), 0)
    mask.paste(255, (0, 0, 16, 32))
    return mask


def test_txt2img_as_the_client_sends_it(client: t.Any, webui: Webui) -> None:
    answer = client.txt2img(prompt="a red three", **SMALL)
    assert answer.image.size == (32, 32)
    path, sent = webui.calls[0]
    assert path == envelope.TXT2IMG
    # What makes this client's bodies worth a test: scripts named to switch them off, its own default of eta, ...
    assert (sent["eta"], sent["scheduler"], sent["seed"]) == (1.0, "automatic", -1)
    assert set(sent["alwayson_scripts"]) == {"ControlNet", "ADetailer", "animatediff"}
    assert answer.parameters["sampler_name"] == "Euler a"
    assert answer.image.text["parameters"].startswith("a red three\nSteps: 2, Sampler: Euler a, ")


def test_every_field_that_the_client_sends_is_known(client: t.Any, webui: Webui) -> None:
    client.txt2img(**SMALL)
    client.img2img(images=[picture()], mask_image=half(), **SMALL)
    for path, sent in webui.calls:
        table = FIELDS[path]
        assert set(sent) <= {*PAYLOADS[path].model_fields, *table.neutral, *table.ignored}


def test_samplers_by_their_older_and_newer_names(client: t.Any, webui: Webui) -> None:
    client.txt2img(sampler_name="DPM++ 2M Karras", **SMALL)
    client.txt2img(sampler_name="DPM++ 2M", scheduler="karras", **SMALL)
    client.default_sampler = None  # clients of the time before sampler_name sent the other one only
    client.txt2img(sampler_index="DPM++ 2M Karras", **SMALL)
    assert [call["sampler_name"] for _path, call in webui.calls] == ["DPM++ 2M Karras", "DPM++ 2M", None]
    used = [(result["parameters"]["sampler_name"], result["parameters"]["scheduler"]) for result in webui.results]
    assert used == [("DPM++ 2M", "Karras")] * 3


@pytest.mark.parametrize("name", samplers.names())
def test_every_sampler_is_drawn_with_the_clients_other_defaults(client: t.Any, name: str) -> None:
    assert client.txt2img(sampler_name=name, **SMALL).parameters["sampler_name"] == name


def test_a_seed_of_minus_one_is_another_one_each_time(client: t.Any) -> None:
    seeds = [client.txt2img(seed=-1, n_iter=2, batch_size=2, **SMALL).info["all_seeds"] for _call in range(2)]
    assert [len(row) for row in seeds] == [4, 4]
    assert not set(seeds[0]) & set(seeds[1])
    assert min(map(min, seeds)) >= 0


def test_img2img_as_the_client_sends_it(client: t.Any, webui: Webui) -> None:
    answer = client.img2img(images=[picture()], prompt="a blue eight", denoising_strength=0.6, **SMALL)
    assert answer.image.size == (32, 32)
    path, sent = webui.calls[0]
    assert path == envelope.IMG2IMG
    assert sent["init_images"][0].startswith("data:image/png;base64,")
    assert answer.parameters["denoising_strength"] == 0.6


@pytest.mark.parametrize("whole", [True, False])
def test_inpaint_as_the_client_sends_it(client: t.Any, webui: Webui, whole: bool) -> None:
    answer = client.img2img(
        images=[picture()], mask_image=half(), mask_blur=0, inpaint_full_res=not whole, prompt="a blue eight", **SMALL
    )
    assert "mask" in webui.calls[0][1]
    before, after = np.asarray(picture()), np.asarray(answer.image)
    assert np.array_equal(before[:, 16:], after[:, 16:])
    assert not np.array_equal(before[:, :16], after[:, :16])


def test_what_is_not_supported_is_refused_by_name(client: t.Any) -> None:
    with pytest.raises(RuntimeError, match=r"payload\.enable_hr: True would change the picture"):
        client.txt2img(enable_hr=True, **SMALL)
    with pytest.raises(RuntimeError, match=r"payload\.alwayson_scripts: .*ControlNet.* is not supported"):
        client.txt2img(controlnet_units=[webuiapi.ControlNetUnit(image=picture())], **SMALL)
