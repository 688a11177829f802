# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's image: what is in it, what is not, and that it works with nothing but what a host gives it."""

from __future__ import annotations

import json
import re
import typing as t
import uuid

import pytest

from scripts.rehearsal.images import Build
from scripts.rehearsal.images import docker as command
from tests.containers.image.conftest import HARDENED, NAME, StartContainer, WorkerImage
from tests.support.saved_image import Saved, holds, saved
from tests.worker.harness import Deployment, until
from tests.worker.imds import Imds

WEIGHTS = re.compile(r"\.(safetensors|ckpt|pth?|bin|onnx|gguf|h5)$")
LARGE = 512 * 1024
PREFIX = "org.opencontainers.image."
PLACES = "/ /app /opt/venv /models /var/cache/sd-inference /tmp"


@pytest.fixture(scope="module")
def layers(image: WorkerImage) -> t.Iterator[Saved]:
    with saved(image.name) as found:
        yield found


def inspect(name: str) -> dict[str, t.Any]:
    return t.cast(dict[str, t.Any], json.loads(command("inspect", name))[0])


def still_running(name: str) -> bool:
    """False while it runs; fails the test with its output once it has ended."""
    assert inspect(name)["State"]["Running"], command("logs", name, both=True)
    return False


@pytest.fixture
def settings(deployment: Deployment, gateway: str) -> t.Iterator[dict[str, str]]:
    """worker.env, with this machine's services where a container finds them."""
    imds, name = Imds(f"i-{uuid.uuid4().hex[:17]}"), deployment.name
    yield {
        "AWS_ENDPOINT_URL": deployment.endpoint.replace("127.0.0.1", gateway),
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": imds.url.replace("127.0.0.1", gateway),
        "SD_DEPLOYMENT_ID": name,
        "SD_IMAGE_VERSION": "1.0.0",
        "SD_RELEASE_ID": "release1",
        "SD_TASK_QUEUE": f"sd-task-queue-{name}",
        "SD_DEAD_LETTER_QUEUE": f"sd-task-dlq-{name}",
        "SD_BUCKET": deployment.bucket,
        "SD_ENGINE": "noop",
        "SD_WAIT_SECONDS": "1",
        "SD_HOOK_POLL_SECONDS": "1",
    }
    imds.close()


@pytest.fixture
def worker(image: WorkerImage, settings: dict[str, str], start: StartContainer) -> str:
    """A worker in a container, ready."""
    name = start(image.name, settings, "--health-interval", "1s")
    until(lambda: '"ready"' in command("logs", name) or still_running(name))
    return name


# ------------------------------------------------------------------------------------------------------ what it says


def test_it_says_what_it_is(image: WorkerImage, base: str) -> None:
    labels = inspect(image.name)["Config"]["Labels"]
    assert labels[PREFIX + "version"] == "1.0.0"
    assert labels[PREFIX + "base.name"] == base
    assert labels[PREFIX + "licenses"] == "Apache-2.0"
    assert labels["org.diffusion.fleet.requirements"] == "noop"


def test_it_starts_the_worker_as_nobody_in_particular(image: WorkerImage) -> None:
    config = inspect(image.name)["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["python", "-m", "api_scheduler"]
    assert config["Healthcheck"]["Test"] == ["CMD", "python", "-m", "api_scheduler.probe"]
    assert not config.get("Volumes")


# ----------------------------------------------------------------------------------------------------- what is in it


def test_no_layer_holds_a_secret_of_the_build(image: WorkerImage, layers: Saved) -> None:
    for word in image.canaries:
        assert not [layer.name for layer in layers.layers if holds(layer, word)]
        assert word.decode() not in json.dumps(layers.config)
        assert word.decode() not in command("history", "--no-trunc", image.name)


def test_a_word_in_a_layer_would_be_found(layers: Saved) -> None:
    assert [holds(layer, b"Puts the worker together from its settings") for layer in layers.layers].count(True) == 1


def test_it_holds_no_weights(layers: Saved) -> None:
    assert not [entry.name for entry in layers.all_files() if WEIGHTS.search(entry.name) and entry.size > LARGE]


def test_the_last_layer_is_the_worker_and_no_other_has_anything_of_it(layers: Saved) -> None:
    last = layers.files(-1)
    assert {entry.name.split("/")[0] for entry in last} == {"app"}
    assert len([entry for entry in layers.all_files() if entry.name.startswith("app/")]) == len(last)


def test_the_worker_cannot_change_itself(layers: Saved) -> None:
    assert all(entry.uid == 0 and not entry.mode & 0o022 for entry in layers.files(-1))


def test_no_pip_and_no_compiler_are_left_for_an_intruder(image: WorkerImage) -> None:
    script = "import importlib.util, shutil; print(importlib.util.find_spec('pip'), shutil.which('gcc'))"
    found = command("run", "--rm", *HARDENED, "--entrypoint", "python", image.name, "-c", script)
    assert found.split() == ["None", "None"]


def test_built_from_nothing_again_it_has_the_same_layers(image: WorkerImage, base: str) -> None:
    """So a host pulls nothing again because another machine has built, or because a cache was cleared."""
    Build(f"{NAME}:again", "1.0.1", base=base, cached=False).run()
    first, again = (inspect(name) for name in (image.name, f"{NAME}:again"))
    assert first["Id"] != again["Id"]
    assert first["RootFS"]["Layers"] == again["RootFS"]["Layers"]


# ----------------------------------------------------------------------------------------------------- what it does


def test_it_answers_a_request(worker: str, deployment: Deployment) -> None:
    deployment.send({"id": "one", "api": "/sdapi/v1/txt2img", "payload": {"prompt": "a red three", "steps": 1}})
    result = deployment.wait("one")
    assert (result["status"], result["worker"]["engine"]) == ("succeeded", "noop")
    assert deployment.read(result["images"][0]["key"]).startswith(b"\x89PNG")


def test_it_runs_without_any_privilege(worker: str) -> None:
    status = dict(line.split(":\t", 1) for line in command("exec", worker, "cat", "/proc/1/status").splitlines())
    assert status["Uid"].split() == ["10001"] * 4
    assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"


def test_nothing_but_tmp_can_be_written(worker: str) -> None:
    script = f"for place in {PLACES}; do touch $place/x 2>/dev/null && echo $place; done; true"
    assert command("exec", worker, "sh", "-c", script).split() == ["/tmp"]


def test_the_engine_sees_its_health(worker: str) -> None:
    until(lambda: inspect(worker)["State"]["Health"]["Status"] == "healthy" or still_running(worker))


def test_it_drains_when_it_is_told_to_go(worker: str) -> None:
    command("stop", "--time", "60", worker)
    assert inspect(worker)["State"]["ExitCode"] == 0
    lines = [json.loads(line) for line in command("logs", worker).splitlines()]
    assert [line["state"] for line in lines if line["event"] == "state"][-2:] == ["draining", "stopped"]


def test_without_settings_it_says_which_is_missing(image: WorkerImage, start: StartContainer) -> None:
    name = start(image.name, {})
    assert command("wait", name).strip() == "2"
    assert "SD_DEPLOYMENT_ID is not set" in command("logs", name, both=True)
