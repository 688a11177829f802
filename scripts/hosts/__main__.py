# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m scripts.hosts COMMAND``: the same from a shell, or from the playbooks of a Molecule scenario."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import typing as t
from pathlib import Path

from scripts.rehearsal.containers import EngineFailed
from scripts.rehearsal.images import DockerFailed
from scripts.rehearsal.stage import DemoFailed

from . import changes
from . import site as sites
from .deployment import DIGITS, NOOP, Deployment, build
from .machine import Machine
from .waiting import until


class Unpredicted(Exception):
    """A run did not do what check mode had said; the message says in what."""


def parse(argv: t.Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.hosts", description="Instances that are real machines.")
    parser.add_argument("--engine", default=os.environ.get("FLEET_ENGINE_NAME", "containers"), help="of engine.sh")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start local_aws and its registry, build the image of machines")
    commands.add_parser("down", help="remove the machines, end local_aws")
    deploy = commands.add_parser("deploy", help="push an image of the worker, make a deployment whose group is empty")
    deploy.add_argument("deployment")
    deploy.add_argument(
        "--requirements", choices=("noop", "cpu"), default="noop", help="cpu: draws with the digits model"
    )
    deploy.add_argument("--wheels", default="", help="a folder with the CPU wheel of torch")
    join = commands.add_parser("join", help="an instance more in the group; the machine becomes that instance")
    join.add_argument("deployment")
    join.add_argument("machine")
    boot = commands.add_parser("boot", help="what cloud-init does at the first boot with the instance's user data")
    boot.add_argument("machine")
    send = commands.add_parser("send", help="put a request on the deployment's queue")
    send.add_argument("deployment")
    send.add_argument("request", type=json.loads)
    result = commands.add_parser("result", help="the result of a request, once it is there")
    result.add_argument("deployment")
    result.add_argument("id")
    result.add_argument("--seconds", type=float, default=60)
    predicted = commands.add_parser("predicted", help="whether check mode has said what the run then did")
    predicted.add_argument("check", type=Path)
    predicted.add_argument("run", type=Path)
    state = commands.add_parser("state", help="the lifecycle states of the instances")
    state.add_argument("deployment")
    return parser.parse_args(argv)


def main(argv: t.Sequence[str] | None = None) -> int:
    """Do it and print what came of it, as JSON; the exit status."""
    options = parse(argv)
    try:
        print(json.dumps(_do(options)))
    except (DemoFailed, DockerFailed, EngineFailed, TimeoutError, Unpredicted) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _do(options: argparse.Namespace) -> dict[str, t.Any]:
    if options.command == "up":
        return dataclasses.asdict(sites.up(options.engine))
    if options.command == "predicted":
        return _predicted(options)
    if options.command == "down":
        sites.down(options.engine)
        return {}
    site = sites.current(options.engine)
    if options.command == "boot":
        Machine(options.machine).boot()
        return {}
    fleet = Deployment(site, options.deployment)
    return {"deploy": _deploy, "join": _join, "send": _send, "result": _result, "state": _state}[options.command](
        fleet, options
    )


def _predicted(options: argparse.Namespace) -> dict[str, t.Any]:
    predicted, done = changes.read(options.check), changes.read(options.run)
    wrong = changes.differences(predicted, done)
    if wrong:
        raise Unpredicted("\n".join(wrong))
    return {"predicted": len(predicted), "done": len(done)}


def _deploy(fleet: Deployment, options: argparse.Namespace) -> dict[str, t.Any]:
    image = build(fleet.site, options.deployment, requirements=options.requirements, wheels=options.wheels)
    fleet.create(image, **(DIGITS if options.requirements == "cpu" else {**NOOP, "SD_NOOP_MS": "3000"}))
    return {"image": image}


def _join(fleet: Deployment, options: argparse.Namespace) -> dict[str, t.Any]:
    instance = fleet.launch()
    Machine(options.machine).join(instance)
    return {"instance_id": instance.instance_id}


def _send(fleet: Deployment, options: argparse.Namespace) -> dict[str, t.Any]:
    fleet.account.send(options.request)
    return {}


def _result(fleet: Deployment, options: argparse.Namespace) -> dict[str, t.Any]:
    until(lambda: options.id in fleet.account.answered(), f"the result of {options.id}", options.seconds)
    return fleet.account.results()[options.id]


def _state(fleet: Deployment, options: argparse.Namespace) -> dict[str, t.Any]:
    return {name: row["LifecycleState"] for name, row in fleet.members().items()}


if __name__ == "__main__":
    sys.exit(main())
