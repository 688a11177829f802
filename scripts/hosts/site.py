# SPDX-License-Identifier: GPL-3.0-or-later
"""Where instances are: a local_aws that boots nothing itself, and its registry, which an engine knows by ECR's name."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from local_aws.registry.context import API_HOST
from scripts.rehearsal.containers import SCRIPT, Engine, EngineFailed, environment
from scripts.rehearsal.images import docker
from scripts.rehearsal.stage import ROOT, LocalAws, free_port

from . import machine

FOLDER = ROOT / "build" / "hosts"


@dataclasses.dataclass(frozen=True)
class Site:
    """One at a time for each engine: the engine knows one registry by ECR's name."""

    engine: str
    endpoint: str
    """AWS, from this machine."""
    inside: str
    """AWS, from machines and from the containers on them."""
    gateway: str
    """This machine's 127.0.0.1, from there."""
    registry: str
    ca_file: str

    @property
    def api_host(self) -> str:
        """The name of ECR's API, which the credential helper asks."""
        return API_HOST


def _server(engine: str, *options: str, port: int = 0) -> LocalAws:
    return LocalAws(port, FOLDER / engine / "local_aws", preload=None, options=options)


def up(engine: str) -> Site:
    """Start it, and build the image of machines; what an earlier one left goes. The engine has to be up."""
    os.environ.update(environment(engine))
    gateway = os.environ["FLEET_ENGINE_GATEWAY"]
    if not gateway:
        raise EngineFailed(
            f"hosts need an engine of its own: {SCRIPT} down {engine}; FLEET_ENGINE=own {SCRIPT} up {engine}"
        )
    down(engine)
    tools = Engine(engine)
    tools.call("base")
    tools.call("hosts")
    machine.prepare()
    port = free_port()
    server = _server(engine, "--runner", "outside", "--registry-port", str(free_port()), port=port)
    server.start()
    registry = server.state()["registry"]
    tools.trust(registry["host"], registry["port"], registry["ca_file"])
    inside = f"http://{gateway}:{port}"
    site = Site(engine, server.endpoint, inside, gateway, registry["host"], registry["ca_file"])
    _file(engine).write_text(json.dumps(dataclasses.asdict(site)), encoding="utf-8")
    return site


def current(engine: str) -> Site:
    """The one that is up, with its engine in this process' environment. Raises EngineFailed."""
    try:
        found = Site(**json.loads(_file(engine).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise EngineFailed(f"nothing is up: python -m scripts.hosts up --engine {engine}") from None
    os.environ.update(environment(engine))
    return found


def down(engine: str) -> None:
    """Remove the machines and end the server; images stay in the engine."""
    left = docker("ps", "--all", "--quiet", "--filter", f"label={machine.LABEL}").split()
    if left:
        docker("rm", "--force", "--volumes", *left)
    _server(engine).stop()
    _file(engine).unlink(missing_ok=True)


def _file(engine: str) -> Path:
    return FOLDER / engine / "site.json"
