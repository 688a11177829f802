# SPDX-License-Identifier: Apache-2.0
"""What the docker runner asks of an engine, seen by a program in its place; tests/containers has the real one."""

from __future__ import annotations

import collections.abc
import json
import os
import threading
import time
import typing as t
from pathlib import Path

import pytest

from local_aws.cli import main
from local_aws.runner.base import HostEvent, Instance
from local_aws.runner.docker import GATEWAY, DockerRunner
from local_aws.runner.hosts import Hosts

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
IMAGE = f"{HOST}/sd@sha256:{'a' * 64}"
# Notes how it was called; its `run` stays until a file of its name appears, as a container that is told to stop does.
DOCKER = """#!/bin/sh
folder={folder}
shift 2
printf '%s\\n' "$*" >>"$folder/calls"
case "$1" in
  ps) cat "$folder/ps" 2>/dev/null || true ;;
  image) echo yes ;;
  run)
    while [ ! -e "$folder/$4" ]; do read -r _ <"$folder/wait" || true; done
    ;;
  kill) touch "$folder/$4"; echo >"$folder/wait" ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "docker").write_text(DOCKER.format(folder=tmp_path))
    (programs / "docker").chmod(0o755)
    os.mkfifo(tmp_path / "wait")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv(GATEWAY, "10.0.2.2")
    return tmp_path


@pytest.fixture
def runner(folder: Path) -> collections.abc.Iterator[DockerRunner]:
    made = DockerRunner(folder / "state", 4599)
    yield made
    made.stop("i-1")
    wait_for(lambda: made.pid("i-1") is None)
    made.close()


def wait_for(condition: t.Callable[[], t.Any], seconds: float = 60) -> t.Any:
    waiting, deadline = threading.Event(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        waiting.wait(0.05)
    raise AssertionError(f"not reached within {seconds} s")


def calls(folder: Path, verb: str) -> list[str]:
    return [line for line in (folder / "calls").read_text().splitlines() if line.startswith(f"{verb} ")]


def instance() -> Instance:
    return Instance("i-1", "123456789012", "us-east-1", "g", "", {})


def test_a_container_has_no_rights_and_finds_the_model_and_the_gateway(runner: DockerRunner, folder: Path) -> None:
    model = folder / "digits"
    model.mkdir()
    (folder / "other" / "digits").mkdir(parents=True)
    more = f"a={model},b=s3://bucket/b,c={folder},d={folder}/other/digits"
    runner.start(IMAGE, {"SD_GROUP": "g", "SD_MODEL": str(model), "SD_MODELS": more}, instance())
    command = wait_for(lambda: calls(folder, "run"))[0]
    for wanted in ("--read-only", "--cap-drop ALL", "--security-opt no-new-privileges", "--tmpfs /tmp", "--rm", IMAGE):
        assert wanted in command
    for wanted in ("--tmpfs /var/cache/sd-inference:mode=1777", "--pull never", "--health-interval 10.0s"):
        assert wanted in command
    assert "--network" not in command
    assert f"type=bind,source={model},target=/models/digits,readonly" in command
    env = dict(line.split("=", 1) for line in (folder / "state/docker/i-1/worker.env").read_text().splitlines() if line)
    assert (env["SD_MODEL"], env["SD_GROUP"], env["SD_HTTP_PORT"]) == ("/models/digits", "g", "8080")
    assert env["SD_MODELS"] == f"a=/models/digits,b=s3://bucket/b,c=/models/{folder.name},d=/models/1/digits"
    assert env["AWS_ENDPOINT_URL"] == "http://10.0.2.2:4599"
    assert env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] == "http://10.0.2.2:4599/imds/i-1/"


def test_without_a_gateway_containers_share_the_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(GATEWAY)
    runner = DockerRunner(folder / "state", 4599)
    env = runner.environment({"SD_HTTP_PORT": "0"}, instance())
    assert (env["AWS_ENDPOINT_URL"], env["SD_HTTP_HOST"]) == ("http://127.0.0.1:4599", "127.0.0.1")
    assert int(env["SD_HTTP_PORT"]) > 0
    runner.start(IMAGE, {}, instance())
    assert "--network host" in wait_for(lambda: calls(folder, "run"))[0]
    runner.stop("i-1")
    wait_for(lambda: runner.pid("i-1") is None)
    runner.close()


@pytest.mark.parametrize("later", ["sd-i-1-1\tUp 9 seconds (unhealthy)\n", ""], ids=["unhealthy", "gone"])
def test_a_container_that_was_healthy_and_is_not_is_given_up(folder: Path, later: str) -> None:
    runner = DockerRunner(folder / "state", 4599, health_seconds=0.5)
    runner.start(IMAGE, {}, instance())
    (folder / "ps").write_text("sd-i-1-1\tUp 3 seconds (healthy)\n")
    seen = len(calls(folder, "ps"))
    wait_for(lambda: len(calls(folder, "ps")) > seen + 8)
    assert runner.poll() == []
    (folder / "ps").write_text(later)
    event: HostEvent = wait_for(lambda: next(iter(runner.poll()), None))
    assert "did not answer /health 3 times in a row" in event.reason
    runner.close()


def test_a_killed_container_is_started_again_under_another_name(runner: DockerRunner, folder: Path) -> None:
    runner.start(IMAGE, {}, instance())
    wait_for(lambda: calls(folder, "run"))
    runner.kill("i-1")
    commands = wait_for(lambda: calls(folder, "run") if len(calls(folder, "run")) == 2 else None)
    assert calls(folder, "kill") == ["kill --signal 9 sd-i-1-1"]
    assert ["--name sd-i-1-1" in commands[0], "--name sd-i-1-2" in commands[1]] == [True, True]


@pytest.mark.parametrize(
    ("image", "reason"),
    [(f"{HOST}/sd:1", "names no digest"), ("elsewhere/sd@sha256:" + "a" * 64, "is not in the registry")],
)
def test_an_image_from_elsewhere_is_not_pulled(runner: DockerRunner, image: str, reason: str) -> None:
    boot(runner, image)
    event: HostEvent = wait_for(lambda: next(iter(runner.poll()), None))
    assert (event.kind, reason in event.reason) == ("launch_failed", True)


def boot(runner: Hosts, image: str) -> None:
    from local_aws import store
    from local_aws.clock import VirtualClock
    from local_aws.world import World

    store.bind(World(VirtualClock(), runner))
    document = {"write_files": [{"path": "/etc/sd-inference/worker.env", "content": f"SD_IMAGE={image}\n"}]}
    user_data = "#cloud-config\n" + json.dumps(document)
    runner.boot(Instance("i-1", "123456789012", "us-east-1", "g", user_data, {}))


def test_containers_of_an_earlier_server_are_removed_first(folder: Path) -> None:
    (folder / "ps").write_text("abc\n")
    runner = DockerRunner(folder / "state", 4599)
    listed, removed = calls(folder, "ps")[0], calls(folder, "rm")[0]
    assert listed.endswith(f"--filter label=org.diffusion.fleet.local-aws={folder / 'state'}")
    assert removed == "rm --force --volumes abc"
    runner.close()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], "give --registry-port too"),
        (["--registry-port", "1", "--preload", "noop"], "--preload is for processes"),
    ],
)
def test_options_that_do_not_go_together(options: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--runner", "docker", *options]) == 2
    assert problem in capsys.readouterr().err
