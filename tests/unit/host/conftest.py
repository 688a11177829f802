# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose docker and systemctl are small scripts, with a real HTTP server as worker, metadata service and AWS."""

from __future__ import annotations

import http.server
import json
import os
import threading
import typing as t
import urllib.parse
from pathlib import Path

import pytest

from sd_host.__main__ import main

ROOT = Path(__file__).parents[3]
DIGEST = "sha256:" + "a" * 64
IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/sd-inference-demo@{DIGEST}"
KEYS = {
    "Code": "Success",
    "AccessKeyId": "ASIA",
    "SecretAccessKey": "s",
    "Token": "t",
    "Expiration": "2099-01-01T00:00:00Z",
}

REFUSED = "<ErrorResponse><Error><Code>ValidationError</Code><Message>not active</Message></Error></ErrorResponse>"


class Cloud:
    """What a host talks to over HTTP."""

    def __init__(self) -> None:
        self.health = 200
        self.target = "InService"
        self.instance: str | None = "i-1"
        self.waiting: set[str] = set()
        """Hooks that wait for an answer."""
        self.broken = False
        """Auto Scaling answers 503."""
        self.calls: list[dict[str, str]] = []
        cloud = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(*cloud.get(self.path))

            def do_PUT(self) -> None:
                self._answer(200, "token")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._answer(*cloud.post(dict(urllib.parse.parse_qsl(body))))

            def _answer(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: t.Any) -> None:
                """Nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def get(self, path: str) -> tuple[int, str]:
        if path == "/health":
            return self.health, "{}"
        items = {
            "instance-id": self.instance,
            "placement/region": "us-east-1",
            "autoscaling/target-lifecycle-state": self.target,
            "iam/security-credentials/": "role",
            "iam/security-credentials/role": json.dumps(KEYS),
        }
        text = items.get(path.partition("/latest/meta-data/")[2])
        return (404, "") if text is None else (200, text)

    def post(self, call: dict[str, str]) -> tuple[int, str]:
        if self.broken:
            return 503, ""
        self.calls.append(call)
        hook = call.get("LifecycleHookName")
        if hook is not None and hook not in self.waiting:
            return 400, REFUSED
        action = call["Action"]
        return 200, f"<{action}Response><{action}Result/></{action}Response>"

    def told(self) -> list[str]:
        """What Auto Scaling has taken or refused, in order."""
        hooks = [f"{call.get('LifecycleHookName')} {call.get('LifecycleActionResult')}" for call in self.calls]
        return [call.get("HealthStatus", hook) for call, hook in zip(self.calls, hooks, strict=True)]


COMMAND = """#!/bin/sh
echo "$(basename "$0") $*" >> {calls}
answer={answers}/$(basename "$0")-$1
[ ! -e "$answer" ] || . "$answer"
"""


class Host:
    """The host's scripts, called as systemd calls them."""

    def __init__(self, folder: Path, cloud: Cloud) -> None:
        self.folder = folder
        self.cloud = cloud
        self.settings = {
            "deployment_id": "demo",
            "worker_env": str(folder / "worker.env"),
            "state_dir": str(folder / "run"),
            "log_dir": str(folder),
            "health_url": f"{cloud.url}/health",
            "starting_seconds": 0,
            "disk_paths": [str(folder)],
            "disk_free_mib": 0,
            "timeout_seconds": 30,
        }
        self.env = {
            "SD_DEPLOYMENT_ID": "demo",
            "SD_IMAGE": IMAGE,
            "SD_GROUP": "sd-inference-demo",
            "AWS_ENDPOINT_URL": cloud.url,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": cloud.url,
        }
        (folder / "answers").mkdir()
        (folder / "bin").mkdir()
        for name in ("docker", "systemctl", "nvidia-smi"):
            path = folder / "bin" / name
            path.write_text(COMMAND.format(calls=folder / "calls", answers=folder / "answers"))
            path.chmod(0o755)
        self.answer("systemctl-show", "echo active")

    def answer(self, command: str, script: str) -> None:
        """What a command does from now on: ``docker-pull``, ``systemctl-show`` …"""
        (self.folder / "answers" / command).write_text(script + "\n")

    def call(self, duty: str, **variables: str) -> int:
        """One call of systemd; the exit status."""
        (self.folder / "host.json").write_text(json.dumps(self.settings))
        (self.folder / "worker.env").write_text("".join(f"{name}={value}\n" for name, value in self.env.items()))
        return main([duty], {"SD_HOST_SETTINGS": str(self.folder / "host.json"), **variables})

    def fail(self, times: int) -> None:
        """The worker starts and ends at once, so often."""
        for _unused in range(times):
            self.call("prepare")
            self.call("ended", SERVICE_RESULT="exit-code", EXIT_CODE="exited", EXIT_STATUS="1")

    def check(self, times: int = 1) -> None:
        """The timer strikes, so often."""
        for _unused in range(times):
            assert self.call("check") == 0

    def commands(self, name: str) -> list[str]:
        """The commands that begin so, in order."""
        calls = self.folder / "calls"
        return [line for line in calls.read_text().splitlines() if line.startswith(name)] if calls.exists() else []

    def log(self, name: str) -> list[dict[str, t.Any]]:
        """The lines of a log."""
        path = self.folder / f"{name}.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def given_up(self) -> str:
        """Why the unit is not started any more; empty while it is."""
        path = self.folder / "run/given-up"
        return path.read_text().strip() if path.exists() else ""


@pytest.fixture
def cloud() -> t.Iterator[Cloud]:
    running = Cloud()
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture
def host(tmp_path: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return Host(tmp_path, cloud)
