# SPDX-License-Identifier: Apache-2.0
"""``python -m local_aws start|stop|status|serve``."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

from local_aws.clock import SystemClock
from local_aws.runner.base import RunnerError
from local_aws.settings import Settings
from local_aws.store import StoreError, check_version

if t.TYPE_CHECKING:
    from local_aws.runner.base import Runner
    from local_aws.world import World

START_SECONDS = 60.0
STOP_SECONDS = 30.0


def parse(argv: t.Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m local_aws", description="The AWS API on this machine.")
    parser.add_argument("command", choices=("start", "stop", "status", "serve"))
    parser.add_argument("--state-dir", type=Path, default=Path("build/local_aws"), help="state.json, logs, timeline")
    parser.add_argument("--port", type=int, default=4599)
    parser.add_argument("--speed", type=float, default=60.0, help="divides the constants of AWS that nobody can set")
    parser.add_argument(
        "--worker-python",
        type=Path,
        default=Path(".venv/worker/bin/python"),
        help="what runs processes as workers; containers bring their own",
    )
    parser.add_argument(
        "--runner",
        choices=("process", "docker", "outside"),
        default="process",
        help="what instances are: processes of this machine, containers of an engine (needs --registry-port), or "
        "machines that somebody else boots",
    )
    parser.add_argument(
        "--registry-port", type=int, default=0, help="serve the image registry there too, over TLS; 0: not at all"
    )
    parser.add_argument(
        "--registry-token-seconds", type=float, default=12 * 3600.0, help="how long a token of the registry is valid"
    )
    parser.add_argument(
        "--preload",
        choices=("noop", "diffusers"),
        action="append",
        default=[],
        help="import that engine's libraries at once, not when the first instance boots (processes only)",
    )
    return parser.parse_args(argv)


def main(argv: t.Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    options = parse(argv)
    options.state_dir = options.state_dir.absolute()
    if (problem := _contradiction(options)) is not None:
        print(problem, file=sys.stderr)
        return 2
    try:
        return {"start": start, "stop": stop, "status": status, "serve": serve}[options.command](options)
    except (StoreError, RunnerError) as error:
        print(error, file=sys.stderr)
        return 1


def _contradiction(options: argparse.Namespace) -> str | None:
    """What does not go together, and what to do about it."""
    if options.runner == "docker" and not options.registry_port:
        return "--runner docker pulls its images from the registry: give --registry-port too"
    if options.runner != "process" and options.preload:
        return "--preload is for processes, a container or another machine imports its libraries itself: leave it out"
    return None


def _state_file(options: argparse.Namespace) -> Path:
    return Path(options.state_dir) / "state.json"


def read_state(options: argparse.Namespace) -> dict[str, t.Any] | None:
    """What state.json says of a server that is alive; None when there is none."""
    try:
        state: dict[str, t.Any] = json.loads(_state_file(options).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return state if _is_ours(int(state["pid"])) else None


def _is_ours(pid: int) -> bool:
    """A pid may have been given to another program since: the command line tells."""
    with contextlib.suppress(OSError):
        return b"local_aws" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def healthy(endpoint: str) -> bool:
    """Whether a local_aws answers there."""
    try:
        with urllib.request.urlopen(f"{endpoint}/_local/health", timeout=2) as reply:
            return bool(json.load(reply).get("status") == "ok")
    except (OSError, ValueError, urllib.error.URLError):
        return False


def start(options: argparse.Namespace) -> int:
    """Start a server in the background and wait until it answers."""
    check_version()
    running = read_state(options)
    if running:
        print(f"local_aws is already running at {running['endpoint']} (pid {running['pid']})")
        return 0
    log_dir = Path(options.state_dir) / "log"
    log_dir.mkdir(parents=True, exist_ok=True)
    with (log_dir / "server.log").open("ab") as log:
        process = subprocess.Popen(
            _serve_command(options), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    endpoint = f"http://127.0.0.1:{options.port}"
    if not _wait(lambda: process.poll() is not None or (healthy(endpoint) and read_state(options) is not None)):
        process.kill()
    if process.poll() is not None:
        print(f"local_aws did not start on port {options.port}: see {log_dir / 'server.log'}", file=sys.stderr)
        return 1
    print(f"local_aws is running at {endpoint} (pid {process.pid})")
    return 0


def _serve_command(options: argparse.Namespace) -> list[str]:
    preload = [part for kind in options.preload for part in ("--preload", kind)]
    return [
        sys.executable,
        "-m",
        "local_aws",
        "serve",
        "--state-dir",
        str(options.state_dir),
        "--port",
        str(options.port),
        "--speed",
        str(options.speed),
        "--worker-python",
        str(options.worker_python.absolute()),
        "--runner",
        options.runner,
        "--registry-port",
        str(options.registry_port),
        "--registry-token-seconds",
        str(options.registry_token_seconds),
        *preload,
    ]


def _wait(condition: t.Callable[[], bool], seconds: float = START_SECONDS) -> bool:
    waiting = threading.Event()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        waiting.wait(0.1)
    return condition()


def stop(options: argparse.Namespace) -> int:
    """Stop the server and every worker."""
    state = read_state(options)
    if state is None:
        print("local_aws is not running")
        return 0
    pid = int(state["pid"])
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    if not _wait(lambda: not _is_ours(pid), STOP_SECONDS):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _state_file(options).unlink(missing_ok=True)
    print(f"local_aws (pid {pid}) is stopped")
    return 0


def status(options: argparse.Namespace) -> int:
    """Say whether it runs: 0 when it does, 3 when not."""
    state = read_state(options)
    if state is None or not healthy(state["endpoint"]):
        print("local_aws is not running")
        return 3
    print(f"local_aws is running at {state['endpoint']} (pid {state['pid']})")
    return 0


def serve(options: argparse.Namespace) -> int:
    """Serve in the foreground until SIGTERM or SIGINT."""
    check_version()
    from local_aws.server import Server
    from local_aws.timeline import Timeline
    from local_aws.world import World

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    state_dir = Path(options.state_dir)
    state_dir.mkdir(parents=True, exist_ok=True)
    runner = _runner(options)
    world = World(SystemClock(), runner, _settings(options), Timeline(state_dir / "timeline.jsonl"))
    server = Server(world, port=options.port)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_unused: stopping.set())
    server.start()
    with _registry(options, world) as registry:
        state = {"pid": os.getpid(), "port": server.port, "endpoint": server.endpoint, **registry}
        _state_file(options).write_text(json.dumps(state), encoding="utf-8")
        stopping.wait()
    server.stop()
    _state_file(options).unlink(missing_ok=True)
    return 0


def _runner(options: argparse.Namespace) -> Runner:
    if options.runner == "outside":
        from local_aws.runner.outside import OutsideRunner

        return OutsideRunner()
    if options.runner == "docker":
        from local_aws.runner.docker import DockerRunner

        return DockerRunner(Path(options.state_dir), options.port)
    from local_aws.runner.process import ProcessRunner

    runner = ProcessRunner(Path(options.state_dir), options.worker_python, f"http://127.0.0.1:{options.port}")
    for kind in options.preload:
        runner.preload(kind)
    return runner


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        speed=options.speed,
        registry_token_seconds=options.registry_token_seconds,
        scratch=Path(options.state_dir),
    )


@contextlib.contextmanager
def _registry(options: argparse.Namespace, world: World) -> t.Iterator[dict[str, t.Any]]:
    """The registry, where it is wanted; what state.json says of it."""
    if not options.registry_port:
        yield {}
        return
    from local_aws.registry.server import RegistryServer

    with RegistryServer(world, Path(options.state_dir) / "registry", options.registry_port) as server:
        yield {"registry": {"host": server.name, "port": server.port, "ca_file": str(server.ca_file)}}
