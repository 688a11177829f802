# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m scripts.hosts COMMAND``: the same from a shell, or from the playbooks of a Molecule scenario."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import typing as t

from scripts.rehearsal.containers import EngineFailed
from scripts.rehearsal.images import DockerFailed
from scripts.rehearsal.stage import DemoFailed

from . import site as sites
from .deployment import DIGITS, NOOP, Deployment, build
from .machine import Machine
from .site import Site


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
    deploy.add_argument("--pip-conf", default="", help="pip's configuration for the build")
    join = commands.add_parser("join", help="an instance more in the group; the machine becomes that instance")
    join.add_argument("deployment")
    join.add_argument("machine")
    boot = commands.add_parser("boot", help="what cloud-init does at the first boot with the instance's user data")
    boot.add_argument("machine")
    return parser.parse_args(argv)


def main(argv: t.Sequence[str] | None = None) -> int:
    """Do it and print what came of it, as JSON; the exit status."""
    options = parse(argv)
    try:
        print(json.dumps(_do(options)))
    except (DemoFailed, DockerFailed, EngineFailed, TimeoutError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _do(options: argparse.Namespace) -> dict[str, t.Any]:
    if options.command == "up":
        return dataclasses.asdict(sites.up(options.engine))
    site = sites.current(options.engine)
    if options.command == "down":
        sites.down(options.engine)
    elif options.command == "deploy":
        return {"image": _deploy(site, options)}
    elif options.command == "join":
        instance = Deployment(site, options.deployment).launch()
        Machine(options.machine).join(instance)
        return {"instance_id": instance.instance_id}
    else:
        Machine(options.machine).boot()
    return {}


def _deploy(site: Site, options: argparse.Namespace) -> str:
    image = build(site, options.deployment, requirements=options.requirements, pip_conf=options.pip_conf)
    Deployment(site, options.deployment).create(image, **(DIGITS if options.requirements == "cpu" else NOOP))
    return image


if __name__ == "__main__":
    sys.exit(main())
