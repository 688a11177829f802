# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m bench.image`: what an image of the worker, and the next version of it, cost to build, push and pull.

The second version changes one file of the worker. Both are pushed to the registry of local_aws under ECR's name, and
pulled by another engine that has neither: bytes are those of the blobs that it fetches, and what its network device
counts. Needs an engine of its own (scripts/engine/engine.sh), and starts a second one beside it.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from local_aws.harness import Harness
from local_aws.registry.server import RegistryServer
from local_aws.settings import Settings
from scripts.rehearsal.containers import SCRIPT, environment
from scripts.rehearsal.images import WORKER, Build, docker
from scripts.rehearsal.sources import copy_source

REPOSITORY = "sd-inference-bench"
CHANGED = Path("src/api_scheduler/answers.py")
SHARE = 0.01
BUILD_SECONDS = 15
UNITS = {
    "build": "build, s",
    "push": "push, s",
    "pull": "pull, s",
    "pulled": "blobs pulled, bytes",
    "wire": "received by the host's network device, bytes",
}


@dataclasses.dataclass(frozen=True)
class Version:
    """What one version came to: seconds, and bytes."""

    build: float
    push: float
    pull: float
    pulled: int
    """Compressed bytes of the layers and the configuration that the host did not have."""
    wire: int
    """Bytes that came in through the host's network device."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """The version that a host gets first, and the next."""

    first: Version
    second: Version


@contextlib.contextmanager
def using(engine: str) -> t.Iterator[None]:
    """Docker commands go to that engine."""
    before = dict(os.environ)
    os.environ.update(environment(engine))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Site:
    """A registry, an engine that builds, and another that pulls."""

    def __init__(self, harness: Harness, builder: str, host: str, registry: str) -> None:
        self._ecr = harness.client("ecr")
        self._ecr.create_repository(repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE")
        self._builder, self._host, self._registry = builder, host, registry

    def login(self) -> None:
        """Both engines."""
        token = self._ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        password = base64.b64decode(token).decode().partition(":")[2]
        for engine in (self._builder, self._host):
            with using(engine):
                docker("login", "--username", "AWS", "--password-stdin", self._registry, stdin=password)

    def logout(self) -> None:
        """The engine that stays."""
        with using(self._builder):
            docker("logout", self._registry)

    def deliver(self, build: Build) -> Version:
        """Build, push, pull."""
        with using(self._builder):
            seconds = build.run()
            push = timed("push", "--quiet", build.tag)
        before = received(self._host)
        with using(self._host):
            pull, lines = timed_lines("pull", build.tag)
        fetched = {line.partition(":")[0] for line in lines if line.endswith("Pull complete")}
        pulled = self._bytes(build.version, fetched)
        return Version(seconds, push, pull, pulled, received(self._host) - before)

    def _bytes(self, version: str, fetched: t.Collection[str]) -> int:
        reply = self._ecr.batch_get_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": version}])
        manifest = json.loads(reply["images"][0]["imageManifest"])
        layers = [layer for layer in manifest["layers"] if layer["digest"].partition(":")[2][:12] in fetched]
        return sum(int(blob["size"]) for blob in (manifest["config"], *layers))


def timed(*arguments: str) -> float:
    """The seconds of a docker command."""
    return timed_lines(*arguments)[0]


def timed_lines(*arguments: str) -> tuple[float, list[str]]:
    """The seconds of a docker command, and its lines."""
    started = time.monotonic()
    lines = docker(*arguments).splitlines()
    return time.monotonic() - started, lines


def received(engine: str) -> int:
    """Bytes that the engine's network device has received so far."""
    command = ["ip", "-json", "-statistics", "-netns", f"fleet-{engine}", "link", "show", "tap0"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(json.loads(shown)[0]["stats64"]["rx"]["bytes"])


def engine(verb: str, name: str, *arguments: str) -> None:
    """A command of engine.sh."""
    subprocess.run([str(SCRIPT), verb, name, *arguments], check=True)


@contextlib.contextmanager
def sites(builder: str) -> t.Iterator[tuple[Site, str, Path]]:
    """A registry with two engines, its name, and a folder to work in; the host's engine is new and goes again."""
    host = f"{builder[:14]}-pull"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleet-bench-")))
        harness = stack.enter_context(Harness(settings=Settings(scratch=folder)))
        server = stack.enter_context(RegistryServer(harness.world, folder / "tls"))
        stack.callback(engine, "remove", host)
        engine("up", host)
        for name in (builder, host):
            engine("trust", name, server.name, str(server.port), str(server.ca_file))
        site = Site(harness, builder, host, server.name)
        site.login()
        stack.callback(site.logout)
        yield site, server.name, folder


def measure(builder: str, requirements: str, pip_conf: str = "") -> Measured:
    """Deliver two versions. The engine ``builder`` is up."""
    engine("base", builder)
    with sites(builder) as (site, registry, folder):
        copy_source(WORKER, folder / "worker", ())
        tag = f"{registry}/{REPOSITORY}:1.0.0"
        build = Build(tag, "1.0.0", folder / "worker", requirements=requirements, pip_conf=pip_conf, cached=False)
        first = site.deliver(build)
        with (folder / "worker" / CHANGED).open("a", encoding="utf-8") as file:
            file.write(f"\n# {time.time_ns()}\n")  # not what an earlier run has left in the cache
        return Measured(first, site.deliver(next_version(build)))


def next_version(build: Build) -> Build:
    """The same, from the cache, under another version."""
    return dataclasses.replace(build, tag=build.tag.replace("1.0.0", "1.0.1"), version="1.0.1", cached=True)


def table(measured: Measured) -> list[str]:
    """The figures as lines of a Markdown table."""
    lines = ["| | first version | next version | share |", "|---|---|---|---|"]
    for name, unit in UNITS.items():
        first, second = (getattr(version, name) for version in (measured.first, measured.second))
        lines.append(f"| {unit} | {shown(first)} | {shown(second)} | {100 * second / first:.2f} % |")
    return lines


def beyond(measured: Measured) -> list[str]:
    """The figures of the next version that are beyond their limit."""
    first, second = measured.first, measured.second
    too_much = [name for name in ("pulled", "wire") if getattr(second, name) > SHARE * getattr(first, name)]
    return [*too_much, *(["build"] if second.build > BUILD_SECONDS else [])]


def verdicts(measured: Measured) -> list[str]:
    """Each limit, and whether it is kept."""
    limits = {"build": f"{BUILD_SECONDS} s", **dict.fromkeys(("pulled", "wire"), f"{SHARE:.0%} of the first version's")}
    return [
        f"{'BEYOND' if name in beyond(measured) else 'within'} the limit of {limit}: {UNITS[name]}"
        for name, limit in limits.items()
    ]


def shown(value: float) -> str:
    """Seconds or bytes."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.1f}"


def main(argv: t.Sequence[str] | None = None) -> int:
    """Print the table; 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.image", description="What the next version costs.")
    parser.add_argument("--engine", default=os.environ.get("FLEET_ENGINE_NAME", "containers"))
    parser.add_argument("--requirements", choices=("noop", "cpu", "cuda"), default="noop")
    parser.add_argument("--pip-conf", default="", help="pip's configuration, for the libraries")
    options = parser.parse_args(argv)
    measured = measure(options.engine, options.requirements, options.pip_conf)
    print(*table(measured), *verdicts(measured), sep="\n")
    return 1 if beyond(measured) else 0


if __name__ == "__main__":
    sys.exit(main())
