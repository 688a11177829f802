# SPDX-License-Identifier: Apache-2.0
"""Real processes as workers: booted from a real image, supervised, and never left behind."""

from __future__ import annotations

import collections.abc
import contextlib
import datetime as dt
import gzip
import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
import typing as t
from pathlib import Path

import boto3
import pytest

from local_aws.clock import SystemClock
from local_aws.runner.base import HostEvent, Instance
from local_aws.runner.cloud_config import environment_file
from local_aws.runner.process import ProcessRunner
from local_aws.server import Server
from local_aws.world import World

LOCK = "a" * 64
WORKER = """
import http.server, json, os, signal, threading
def say(**line): os.write(1, (json.dumps(line) + "\\n").encode())  # a line is one write: two threads say something
say(event="env", **os.environ)
if os.environ.get("SD_CRASH"):
    raise SystemExit(7)
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        say(event="probed")
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", int(os.environ["SD_HTTP_PORT"])), Health)
threading.Thread(target=server.serve_forever, daemon=True).start()
over = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: over.set())
say(event="state", state="ready", pid=os.getpid())
over.wait(120)
threading.Event().wait(float(os.environ.get("SD_STOP_SECONDS", "0")))
say(event="state", state="stopped")
"""


def wait_for(condition: t.Callable[[], t.Any], seconds: float = 60) -> t.Any:
    waiting, deadline = threading.Event(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        waiting.wait(0.05)
    raise AssertionError(f"not reached within {seconds} s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(module: str = "__main__.py") -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, text in (("__init__.py", ""), (module, WORKER)):
            entry = tarfile.TarInfo(f"app/src/api_scheduler/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(plain.getvalue(), mtime=0)


class Site:
    """A server with a process runner and a client for the rest."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        (folder / "lock.sha256").write_text(LOCK)
        self.folder = folder
        self.runner = ProcessRunner(
            folder,
            Path(sys.executable),
            f"http://127.0.0.1:{port}",
            preload={"noop": ("json",)},
            lock_file=folder / "lock.sha256",
            health_seconds=0.5,
        )
        self.server = Server(World(SystemClock(), self.runner), port=port)

    def client(self, service: str) -> t.Any:
        return boto3.client(
            service,
            endpoint_url=self.server.endpoint,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def push(self, lock: str = LOCK, module: str = "__main__.py") -> str:
        """Push the image by the registry's API; its reference."""
        files = layer(module)
        ecr = self.client("ecr")
        ecr.create_repository(repositoryName="sd")
        config = json.dumps({"config": {"Labels": {"org.diffusion.fleet.lock-sha256": lock}}}).encode()
        for blob in (config, files):
            identity = ecr.initiate_layer_upload(repositoryName="sd")["uploadId"]
            ecr.upload_layer_part(
                repositoryName="sd", uploadId=identity, partFirstByte=0, partLastByte=len(blob) - 1, layerPartBlob=blob
            )
            ecr.complete_layer_upload(repositoryName="sd", uploadId=identity, layerDigests=[digest_of(blob)])
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {"digest": digest_of(config)},
                "layers": [{"digest": digest_of(files)}],
            }
        )
        return "sd@" + str(
            ecr.put_image(repositoryName="sd", imageManifest=manifest, imageTag="1")["image"]["imageId"]["imageDigest"]
        )

    def boot(self, image: str, **extra: str) -> None:
        lines = {"SD_IMAGE": image, "SD_ENGINE": "noop", "SD_LOG_GROUP": "/sd/x", **extra}
        content = "".join(f"      {name}={value}\n" for name, value in lines.items())
        user_data = "#cloud-config\nwrite_files:\n  - path: /etc/sd-inference/worker.env\n    content: |\n" + content
        self.runner.boot(Instance("i-1", "123456789012", "us-east-1", "g", user_data, {}))

    def lines(self) -> list[dict[str, t.Any]]:
        from moto.logs.models import logs_backends

        group = logs_backends["123456789012"]["us-east-1"].groups.get("/sd/x")
        events = group.streams["i-1"].events if group and "i-1" in group.streams else []
        return [json.loads(event.message) for event in list(events) if event.message.startswith("{")]

    def ready_pids(self) -> list[int]:
        return [line["pid"] for line in self.lines() if line.get("state") == "ready"]


@pytest.fixture
def site(tmp_path: Path) -> collections.abc.Iterator[Site]:
    made = Site(tmp_path)
    made.server.start()
    yield made
    made.server.stop()


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def failure(site: Site, seen: list[HostEvent]) -> HostEvent | None:
    seen += site.runner.poll()
    return seen[0] if seen else None


def test_a_worker_runs_from_its_image_with_its_environment_and_no_keys(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "secret")
    site.boot(site.push(), SD_GROUP="g")
    pid = wait_for(site.ready_pids)[0]
    env = next(line for line in site.lines() if line["event"] == "env")
    assert (env["SD_GROUP"], env["AWS_ENDPOINT_URL"], env["SD_HTTP_HOST"]) == ("g", site.server.endpoint, "127.0.0.1")
    assert env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] == f"{site.server.endpoint}/imds/i-1/"
    assert "AWS_ACCESS_KEY_ID" not in env
    site.runner.stop("i-1")
    wait_for(lambda: any(line.get("state") == "stopped" for line in site.lines()))
    wait_for(lambda: not alive(pid))


def test_a_killed_worker_is_started_again(site: Site) -> None:
    site.boot(site.push())
    first = wait_for(site.ready_pids)[0]
    site.runner.kill("i-1")
    pids = wait_for(lambda: site.ready_pids() if len(site.ready_pids()) == 2 else None)
    assert pids[1] != first and alive(pids[1]) and not alive(first)


def test_a_restarted_worker_ends_by_itself_and_is_started_again_as_often_as_one_likes(site: Site) -> None:
    site.boot(site.push())
    for round_number in range(1, 5):
        wait_for(lambda expected=round_number: len(site.ready_pids()) == expected)
        site.runner.restart("i-1")
    wait_for(lambda: len(site.ready_pids()) == 5)
    assert len([line for line in site.lines() if line.get("state") == "stopped"]) == 4
    assert site.runner.poll() == []


def test_a_host_that_is_started_again_has_stopped_first(site: Site) -> None:
    image = site.push()
    site.boot(image, SD_STOP_SECONDS="1.5")
    wait_for(site.ready_pids)
    site.runner.stop("i-1")
    site.boot(image)
    wait_for(lambda: len(site.ready_pids()) == 2)
    assert [line["state"] for line in site.lines() if "state" in line] == ["ready", "stopped", "ready"]


def test_a_worker_that_shows_no_sign_of_life_is_killed_and_given_up(site: Site) -> None:
    monitored: list[HostEvent] = []
    site.server.world.runner = _Deaf()
    site.boot(site.push())
    pid = wait_for(site.ready_pids)[0]
    # Before its first good answer it is still starting, and may take as long as it likes; the second proves the first.
    wait_for(lambda: len([line for line in site.lines() if line["event"] == "probed"]) > 1)
    os.kill(pid, signal.SIGSTOP)
    event = wait_for(lambda: failure(site, monitored))
    assert "did not answer /health 3 times in a row" in event.reason
    assert not alive(pid) and len(site.ready_pids()) == 1
    site.server.world.runner = site.runner


def test_a_host_that_was_stopped_can_be_started_again(site: Site) -> None:
    image = site.push()
    site.boot(image)
    first = wait_for(site.ready_pids)[0]
    site.runner.stop("i-1")
    site.boot(image)
    second = wait_for(lambda: site.ready_pids()[1:])[0]
    assert alive(second) and not alive(first)
    # One after the other, and no line is shipped twice.
    states = [line["state"] for line in site.lines() if line["event"] == "state"]
    assert states == ["ready", "stopped", "ready"]


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        ("crash", "failed 3 times in a row, last with exit status 7"),
        ("lock", "needs the dependencies"),
        ("missing", "the registry has no"),
        ("no digest", "names no digest"),
        ("outside", "cannot be unpacked"),
    ],
)
def test_a_worker_that_cannot_work_fails_the_launch_with_the_reason(site: Site, problem: str, reason: str) -> None:
    monitored: list[HostEvent] = []
    site.server.world.runner = _Deaf()  # the world must not take the events that this test reads
    module = "../../../../outside.py" if problem == "outside" else "__main__.py"
    image = site.push("b" * 64 if problem == "lock" else LOCK, module)
    extra = {"SD_CRASH": "1"} if problem == "crash" else {}
    images = {"missing": "sd@" + digest_of(b"?"), "no digest": "sd:1"}
    site.boot(images.get(problem, image), **extra)
    event = wait_for(lambda: failure(site, monitored))
    assert event.kind == "launch_failed" and reason in event.reason
    assert not list(site.folder.rglob("outside.py"))
    site.server.world.runner = site.runner


class _Deaf:
    """A runner on which nothing ever happens."""

    def __getattr__(self, name: str) -> t.Callable[..., list[HostEvent]]:
        return lambda *_unused: []


def test_an_instance_without_a_worker_just_runs(site: Site) -> None:
    site.runner.boot(Instance("i-2", "123456789012", "us-east-1", "g", "#!/bin/sh\n", {}))
    assert site.runner.pid("i-2") is None
    assert site.runner.poll() == []


def test_environment_files_are_read_as_systemd_reads_them() -> None:
    assert environment_file("# c\nA=1\nB=\"x y\"\n;d\nC='q'\nD=a=b\n") == {"A": "1", "B": "x y", "C": "q", "D": "a=b"}


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[3]
    return subprocess.run(
        [sys.executable, "-m", "local_aws", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()] if alive(pid) else []


WORKER_PYTHON = str(Path(__file__).resolve().parents[3] / ".venv" / "worker" / "bin" / "python")
"""A zygote imports what the worker imports: only the worker's environment has all of it."""


def zygotes_of(state_dir: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"zygote.py" in (entry / "cmdline").read_bytes() and os.readlink(entry / "fd/2").startswith(
                str(state_dir)
            ):
                found.append(int(entry.name))
    return found


def token_seconds(endpoint: str) -> float:
    """How long a new token of the registry is valid."""
    ecr = boto3.session.Session("local", "local", region_name="us-east-1").client("ecr", endpoint_url=endpoint)
    ends: dt.datetime = ecr.get_authorization_token()["authorizationData"][0]["expiresAt"]
    return (ends - dt.datetime.now(dt.UTC)).total_seconds()


def test_start_stop_and_nothing_left_after_kill_nine(tmp_path: Path) -> None:
    where = ("--state-dir", str(tmp_path), "--port", str(free_port()))
    assert cli("status", *where).returncode == 3
    registry = free_port()
    options = ("--preload", "noop", "--registry-port", str(registry), "--registry-token-seconds", "90")
    started = cli("start", *where, "--worker-python", WORKER_PYTHON, *options)
    assert started.returncode == 0, started.stderr
    state = json.loads((tmp_path / "state.json").read_text())
    assert state["registry"]["port"] == registry
    assert Path(state["registry"]["ca_file"]).read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert 60 < token_seconds(state["endpoint"]) <= 90
    assert "already running" in cli("start", *where).stdout
    assert cli("status", *where).returncode == 0
    wait_for(lambda: zygotes_of(tmp_path))
    os.kill(state["pid"], signal.SIGKILL)
    wait_for(lambda: not zygotes_of(tmp_path))
    again = cli("start", *where, "--worker-python", sys.executable)
    assert again.returncode == 0, again.stderr
    assert "is stopped" in cli("stop", *where).stdout
    assert cli("stop", *where).stdout.strip() == "local_aws is not running"
