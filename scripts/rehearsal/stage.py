# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo runs on: a local_aws of its own, and the playbooks as a user starts them."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import types
import typing as t
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "demo"
STATE = OUT / "local_aws"
LONGEST_PLAYBOOK = 300.0


class DemoFailed(Exception):
    """The demo cannot go on; the message says why."""


def free_port() -> int:
    """A port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LocalAws:
    """The server, from ``with`` to its end; it is stopped on every path."""

    def __init__(
        self, port: int, state: Path = STATE, preload: str | None = "diffusers", options: t.Sequence[str] = ()
    ) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self._port = port
        self._state = state
        self._options = (*(("--preload", preload) if preload else ()), *options)

    def __enter__(self) -> LocalAws:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, with nothing of an earlier one. Raises DemoFailed."""
        self.stop()  # one that was killed has left its server
        shutil.rmtree(self._state, ignore_errors=True)
        self._command("start", "--port", str(self._port), *self._options, check=True)

    def stop(self) -> None:
        """Stop it, where it runs."""
        self._command("stop", check=False)

    def _command(self, verb: str, *options: str, check: bool) -> None:
        command = [sys.executable, "-m", "local_aws", verb, "--state-dir", str(self._state), *options]
        done = subprocess.run(command, cwd=ROOT, check=False)
        if check and done.returncode:
            raise DemoFailed(f"local_aws did not {verb}: see {self._state}/log")

    def state(self) -> dict[str, t.Any]:
        """What the server says of itself."""
        return t.cast("dict[str, t.Any]", json.loads((self._state / "state.json").read_text(encoding="utf-8")))

    def timeline(self) -> list[dict[str, t.Any]]:
        """What happened to the instances so far."""
        with urllib.request.urlopen(f"{self.endpoint}/_local/timeline", timeout=30) as reply:
            return t.cast(list[dict[str, t.Any]], json.load(reply))


@dataclasses.dataclass(frozen=True)
class PlaybookRun:
    """How a playbook ended, and everything it said."""

    name: str
    status: int
    output: str

    def says(self, words: str) -> bool:
        """Whether it said so, whatever the line breaks."""
        return " ".join(words.split()) in " ".join(self.output.split())


class Playbooks:
    """Runs playbooks and shows what they say while they say it."""

    def __init__(self, endpoint: str, variables: t.Mapping[str, t.Any] | None = None) -> None:
        """``variables`` are given to each playbook."""
        self._environment = environment(endpoint)
        self._variables = dict(variables or {})

    def run(self, name: str, *, fails: bool = False, **variables: t.Any) -> PlaybookRun:
        """Run one. Raises DemoFailed when it ends otherwise than expected."""
        command = [str(Path(sys.executable).parent / "ansible-playbook"), f"playbooks/{name}.yml"]
        command += [
            part for pair in {**self._variables, **variables}.items() for part in ("-e", _extra_variable(*pair))
        ]
        print("$ ansible-playbook " + shlex.join(command[1:]), flush=True)
        run = PlaybookRun(name, *self._live(command))
        if (run.status != 0) != fails:
            raise DemoFailed(f"{name}.yml ended with {run.status}; {'a failure' if fails else 'success'} was expected")
        return run

    def _live(self, command: t.Sequence[str]) -> tuple[int, str]:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        watchdog = threading.Timer(LONGEST_PLAYBOOK, lambda: end_group(process))
        watchdog.start()
        try:
            return self._show(process)
        finally:
            watchdog.cancel()
            end_group(process)

    def _show(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        lines: list[str] = []
        for line in process.stdout or ():
            lines.append(line)
            print("  " + line, end="", flush=True)
        return process.wait(), "".join(lines)


def _extra_variable(name: str, value: t.Any) -> str:
    """As ansible-playbook takes it: a plain text as it is, anything with a structure as JSON."""
    return json.dumps({name: value}) if isinstance(value, dict | list) else f"{name}={shlex.quote(str(value))}"


def end_group(process: subprocess.Popen[str]) -> None:
    """End a playbook that still runs, with all that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def environment(endpoint: str) -> dict[str, str]:
    """The environment of a playbook: this checkout, that endpoint, and nothing of the user's own settings."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ANSIBLE_"))}
    return mine | {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_HOME": str(ROOT / "build" / "ansible"),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "LC_ALL": "C.UTF-8",
        "PWD": str(ROOT),
    }
