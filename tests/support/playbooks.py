# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks run as users run them, against a local_aws process of their own."""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import json
import os
import pathlib
import socket
import subprocess
import sys
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[2]
INTERPRETER = "FLEET_MODULE_PYTHON"
"""Variable that names another interpreter for modules than the inventory's."""
ANSIBLE_PLAYBOOK = pathlib.Path(sys.executable).with_name("ansible-playbook")


def free_port() -> int:
    """A port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def local_aws(state: pathlib.Path) -> collections.abc.Iterator[str]:
    """A local_aws process; its endpoint."""
    port = str(free_port())
    place = ["--state-dir", str(state)]
    command = [sys.executable, "-m", "local_aws"]
    subprocess.run([*command, "start", *place, "--port", port], cwd=ROOT, check=True, timeout=120)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        subprocess.run([*command, "stop", *place], cwd=ROOT, check=True, timeout=120)


@dataclasses.dataclass(frozen=True)
class Run:
    """What a playbook did."""

    code: int
    results: list[tuple[str, dict[str, t.Any]]]
    """Task names and their results, in order."""
    text: str

    def changed(self) -> list[str]:
        """The tasks that changed something."""
        return [name for name, result in self.results if result.get("changed")]

    def failures(self) -> str:
        """The messages of the tasks that failed."""
        return "\n".join(str(result.get("msg", "")) for _unused, result in self.results if result.get("failed"))

    def messages(self) -> str:
        """What debug tasks said."""
        return "\n".join(str(result["msg"]) for _unused, result in self.results if "msg" in result)


def run_playbook(playbook: pathlib.Path, endpoint: str, *arguments: str) -> Run:
    """Run a playbook with the local inventory and read its results from the JSON callback."""
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": endpoint,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build" / "collections"),
        "LC_ALL": "C.UTF-8",
    }
    python = os.environ.get(INTERPRETER)
    own = ["-e", f"ansible_python_interpreter={python}"] if python else []
    command = [str(ANSIBLE_PLAYBOOK), "-i", str(ROOT / "inventory" / "local"), *own, str(playbook), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    text = done.stdout + done.stderr
    begin = done.stdout.find("{\n")  # what was displayed before it may hold JSON too, on one line
    document = json.loads(done.stdout[begin:]) if begin >= 0 else {"plays": []}
    tasks = [task for play in document["plays"] for task in play["tasks"]]
    results = [(str(task["task"]["name"]), dict(host)) for task in tasks for host in task["hosts"].values()]
    return Run(done.returncode, results, text)
