# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers as workers: pulled by digest with the instance's role, supervised, and never left behind."""

from __future__ import annotations

import base64
import collections.abc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import boto3
import pytest

from local_aws.clock import SystemClock
from local_aws.registry.server import RegistryServer
from local_aws.runner.base import HostEvent, Instance
from local_aws.runner.docker import DockerRunner
from local_aws.runner.engine import LABEL
from local_aws.runner.process import free_port
from local_aws.server import Server
from local_aws.settings import Settings
from local_aws.world import World
from tests.support.docker import Docker

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
IMAGE = "local/test-worker:1"
WORKER = """
import http.server, json, os, pathlib, signal, threading, urllib.request
def say(**line): os.write(1, (json.dumps(line) + "\\n").encode())  # a line is one write: two threads say something
def written(path):
    try:
        pathlib.Path(path, "x").write_text("x")
    except OSError:
        return False
    return True
say(event="env", **os.environ)
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
say(event="inside", uid=os.getuid(), capabilities=int(status["CapEff"], 16) | int(status["CapBnd"], 16),
    no_new_privileges=int(status["NoNewPrivs"]), written=[path for path in (
        "/", "/app", "/tmp", "/models/tiny", "/var/cache/sd-inference") if written(path)],
    model=pathlib.Path(os.environ.get("SD_MODEL", "/none"), "weights").is_file())
if os.environ.get("SD_CRASH"):
    raise SystemExit(7)
request = urllib.request.Request(os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] + "latest/api/token", method="PUT",
    headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
token = urllib.request.urlopen(request, timeout=60).read().decode()
request = urllib.request.Request(os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] + "latest/meta-data/instance-id",
    headers={"X-aws-ec2-metadata-token": token})
instance = urllib.request.urlopen(request, timeout=60).read().decode()
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        say(event="probed")
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_): pass
port = int(os.environ["SD_HTTP_PORT"])
threading.Thread(target=http.server.HTTPServer(("127.0.0.1", port), Health).serve_forever, daemon=True).start()
over = threading.Event()
if not os.environ.get("SD_STUBBORN"):
    signal.signal(signal.SIGTERM, lambda *_: over.set())
say(event="state", state="ready", instance=instance)
over.wait(120)
say(event="state", state="stopped")
"""
DOCKERFILE = """
FROM {base}
COPY worker.py /app/worker.py
USER 10001:10001
HEALTHCHECK --timeout=2s CMD ["python3", "-c", "import os, urllib.request; \\
    urllib.request.urlopen('http://127.0.0.1:' + os.environ['SD_HTTP_PORT'] + '/health', timeout=1)"]
ENTRYPOINT ["python3", "/app/worker.py"]
"""


def wait_for(condition: t.Callable[[], t.Any], seconds: float = 60) -> t.Any:
    waiting, deadline = threading.Event(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        waiting.wait(0.1)
    raise AssertionError(f"not reached within {seconds} s")


class Deaf:
    """A runner on which nothing ever happens: the world must not take the events that the tests read."""

    def __getattr__(self, name: str) -> t.Callable[..., list[HostEvent]]:
        return lambda *_unused: []


class Site:
    """A server and its registry in this process, with a docker runner and one instance that has a role."""

    def __init__(self, docker: Docker, folder: Path) -> None:
        port = free_port()
        self.docker = docker
        self.folder = folder
        self.runner = DockerRunner(folder, port, health_seconds=1)
        self.world = World(SystemClock(), t.cast(t.Any, Deaf()), Settings(scratch=folder))
        self.server = Server(self.world, port=port).start()
        self.registry = RegistryServer(self.world, folder / "tls").start()
        docker.tell("trust", HOST, str(self.registry.port), str(self.registry.ca_file))
        self.client("ecr").create_repository(repositoryName="sd")
        self.instance_id = self.launch("role")

    def close(self) -> None:
        self.runner.close()
        self.registry.stop()
        self.server.stop()

    def client(self, service: str) -> t.Any:
        session = boto3.session.Session("local", "local", region_name="us-east-1")
        return session.client(service, endpoint_url=self.server.endpoint)

    def launch(self, role: str | None) -> str:
        profile = {}
        if role:
            iam = self.client("iam")
            iam.create_role(RoleName=role, AssumeRolePolicyDocument="{}")
            iam.create_instance_profile(InstanceProfileName=role)
            iam.add_role_to_instance_profile(InstanceProfileName=role, RoleName=role)
            profile = {"IamInstanceProfile": {"Name": role}}
        ec2 = self.client("ec2")
        ami = ec2.describe_images()["Images"][0]["ImageId"]
        return str(ec2.run_instances(ImageId=ami, MinCount=1, MaxCount=1, **profile)["Instances"][0]["InstanceId"])

    def push(self, image: str = IMAGE) -> str:
        """The test's worker, or another image; its reference."""
        token = self.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
        self.docker.login(HOST, base64.b64decode(token).decode().partition(":")[2])
        self.docker.run("tag", image, f"{HOST}/sd:1")
        self.docker.run("push", "--quiet", f"{HOST}/sd:1")
        found = self.client("ecr").describe_images(repositoryName="sd", imageIds=[{"imageTag": "1"}])
        self.docker.run("logout", HOST)  # what instances may, they may with their role
        return f"{HOST}/sd@{found['imageDetails'][0]['imageDigest']}"

    def boot(self, image: str, instance_id: str | None = None, **extra: str) -> None:
        lines = {"SD_IMAGE": image, "SD_LOG_GROUP": "/sd/x", **extra}
        content = "".join(f"      {name}={value}\n" for name, value in lines.items())
        user_data = "#cloud-config\nwrite_files:\n  - path: /etc/sd-inference/worker.env\n    content: |\n" + content
        name = instance_id or self.instance_id
        self.runner.boot(Instance(name, "123456789012", "us-east-1", "g", user_data, {}))

    def lines(self, event: str) -> list[dict[str, t.Any]]:
        """What the worker printed, from its log group."""
        from moto.logs.models import logs_backends

        group = logs_backends["123456789012"]["us-east-1"].groups.get("/sd/x")
        stream = group.streams.get(self.instance_id) if group else None
        found = (
            [json.loads(one.message) for one in list(stream.events) if one.message.startswith("{")] if stream else []
        )
        return [line for line in found if line["event"] == event]

    def states(self) -> list[str]:
        return [line["state"] for line in self.lines("state")]

    def containers(self) -> list[str]:
        return containers(self.docker, self.folder)

    def failure(self) -> HostEvent:
        found: HostEvent = wait_for(lambda: next(iter(self.runner.poll()), None))
        return found


def containers(docker: Docker, folder: Path) -> list[str]:
    """The containers of the server with that state folder."""
    return docker.run("ps", "--all", "--quiet", "--filter", f"label={LABEL}={folder}").split()


@pytest.fixture(scope="module", autouse=True)
def image(docker: Docker, base: str) -> None:
    docker.build(IMAGE, {"Dockerfile": DOCKERFILE.format(base=base).encode(), "worker.py": WORKER.encode()})


@pytest.fixture
def site(docker: Docker, tmp_path: Path) -> collections.abc.Iterator[Site]:
    made = Site(docker, tmp_path)
    yield made
    made.close()
    assert made.containers() == []


def test_a_worker_runs_from_its_image_by_digest_without_rights(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "secret")
    model = tmp_path / "tiny"
    model.mkdir()
    (model / "weights").write_bytes(b"1")
    image = site.push()
    site.boot(image, SD_GROUP="g", SD_MODEL=str(model))
    wait_for(lambda: site.states() == ["ready"])
    env, inside = site.lines("env")[0], site.lines("inside")[0]
    assert (env["SD_GROUP"], env["SD_MODEL"], "AWS_ACCESS_KEY_ID" in env) == ("g", "/models/tiny", False)
    assert (inside["uid"], inside["capabilities"], inside["no_new_privileges"]) == (10001, 0, 1)
    assert (inside["written"], inside["model"]) == (["/tmp", "/var/cache/sd-inference"], True)
    assert site.lines("state")[0]["instance"] == site.instance_id
    running = json.loads(site.docker.run("inspect", *site.containers()))[0]
    assert (running["Config"]["Image"], running["HostConfig"]["Privileged"]) == (image, False)
    site.runner.stop(site.instance_id)
    wait_for(lambda: site.states() == ["ready", "stopped"] and not site.containers())


def test_a_killed_worker_is_started_again(site: Site) -> None:
    site.boot(site.push())
    wait_for(lambda: site.states() == ["ready"])
    first = site.containers()
    site.runner.kill(site.instance_id)
    wait_for(lambda: site.states() == ["ready", "ready"])
    assert site.containers() != first and len(site.containers()) == 1
    assert site.runner.poll() == []


def test_a_restarted_worker_ends_by_itself_first(site: Site) -> None:
    site.boot(site.push())
    wait_for(lambda: site.states() == ["ready"])
    site.runner.restart(site.instance_id)
    wait_for(lambda: site.states() == ["ready", "stopped", "ready"])


def test_a_worker_that_does_not_stop_is_killed_after_its_grace(site: Site) -> None:
    site.boot(site.push(), SD_STUBBORN="1")
    wait_for(lambda: site.states() == ["ready"])
    asked = time.monotonic()
    site.runner.stop(site.instance_id)
    wait_for(lambda: not site.containers())
    assert time.monotonic() - asked >= 9


def test_a_worker_that_fails_three_times_fails_the_launch(site: Site) -> None:
    site.boot(site.push(), SD_CRASH="1")
    event = site.failure()
    assert event.kind == "launch_failed"
    assert "failed 3 times in a row, last with exit status 7" in event.reason
    assert len(site.lines("inside")) == 3


def test_a_worker_that_shows_no_sign_of_life_is_killed_and_given_up(site: Site) -> None:
    site.boot(site.push())
    wait_for(lambda: len(site.lines("probed")) > 1)
    site.docker.run("kill", "--signal", "STOP", *site.containers())
    assert "did not answer /health 3 times in a row" in site.failure().reason
    wait_for(lambda: not site.containers())


def test_what_cannot_be_pulled_fails_the_launch_with_the_reason(site: Site) -> None:
    image = site.push()
    nobody = site.launch(None)
    wrong = f"{HOST}/sd@sha256:{'0' * 64}"
    for reference, instance, reason in (
        (wrong, None, "manifest unknown"),
        (f"{HOST}/sd:1", None, "names no digest"),
        ("other/sd@sha256:" + "0" * 64, None, "is not in the registry"),
        (image, nobody, "has no role"),
    ):
        site.boot(reference, instance)
        event = site.failure()
        assert event.kind == "launch_failed" and reason in event.reason


def test_a_registry_that_refuses_fails_the_launch_with_the_reason(site: Site) -> None:
    new = "local/test-never-pulled:1"  # a manifest that the engine has pulled before is not asked for again
    site.docker.import_files(new, {"file": os.urandom(16)})
    image = site.push(new)
    site.docker.run("image", "rm", "--force", new, f"{HOST}/sd:1")
    site.world.faults.replace([{"kind": "denied", "service": "registry", "operation": "BatchGetImage"}])
    site.boot(image)
    assert "is not authorized to perform: ecr:BatchGetImage" in site.failure().reason


def left_over(docker: Docker, folder: Path) -> None:
    docker.run(
        "run",
        "--detach",
        "--label",
        f"{LABEL}={folder}",
        "--env",
        "SD_HTTP_PORT=1",
        "--entrypoint",
        "sleep",
        IMAGE,
        "300",
    )


def test_what_an_earlier_server_left_is_removed_at_the_start(docker: Docker, tmp_path: Path) -> None:
    left_over(docker, tmp_path)
    assert len(containers(docker, tmp_path)) == 1
    runner = DockerRunner(tmp_path, free_port())
    assert containers(docker, tmp_path) == []
    runner.close()


def test_nothing_is_left_of_a_server_that_is_killed(docker: Docker, tmp_path: Path) -> None:
    serve = [sys.executable, "-m", "local_aws", "serve", "--runner", "docker", "--state-dir", str(tmp_path)]
    ports = ["--port", str(free_port()), "--registry-port", str(free_port())]
    server = subprocess.Popen([*serve, *ports], cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL)
    wait_for((tmp_path / "state.json").exists)
    left_over(docker, tmp_path)
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    wait_for(lambda: not containers(docker, tmp_path))
