# SPDX-License-Identifier: GPL-3.0-or-later
"""The role applied to a machine, and an image of a machine to which it was applied: tests then begin with a host."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

from scripts.rehearsal.images import docker
from scripts.rehearsal.stage import ROOT

from . import machine
from .machine import Machine

PLAYBOOK = Path(__file__).with_name("role.yml")
ROLE = ROOT / "roles" / "gpu_worker"


class RoleFailed(Exception):
    """The role did not come to its end; the message is what Ansible said."""


def apply_role(machines: t.Sequence[Machine], variables: t.Mapping[str, t.Any], *options: str) -> str:
    """Apply the role, to all of them at once; what ansible-playbook said. Raises RoleFailed."""
    inventory = ",".join(one.name for one in machines) + ","
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [program, "-i", inventory, "-e", json.dumps(dict(variables)), *options, str(PLAYBOOK)]
    settings = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build" / "collections"),
        "ANSIBLE_HOME": str(ROOT / "build" / "ansible"),
        "ANSIBLE_PIPELINING": "true",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RoleFailed(done.stdout[-6000:] + done.stderr[-2000:])
    return done.stdout


def baked(variables: t.Mapping[str, t.Any]) -> str:
    """An image of a machine to which the role was applied with these variables, as bake_ami.yml does; kept until they,
    the role or the machine's image change.
    """
    tag = f"local/fleet-host:{_content(variables)}"
    if docker("images", "--quiet", tag):
        return tag
    with Machine.create(f"baking-{tag.partition(':')[2]}") as made:
        apply_role([made], {**variables, "gpu_worker_start": False})
        # Containers and images lie in a volume, which is no part of the image: every host fetches its own.
        made.sh("systemctl stop docker.service docker.socket; : >/etc/machine-id")
        docker("commit", made.name, tag)
    return tag


def _content(variables: t.Mapping[str, t.Any]) -> str:
    """What the image would be made of."""
    told = hashlib.sha256(json.dumps(dict(variables), sort_keys=True).encode())
    told.update(docker("image", "inspect", "--format", "{{.Id}}", machine.IMAGE).encode())
    for path in sorted(ROLE.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            told.update(f"{path.relative_to(ROLE)}\0".encode() + path.read_bytes())
    return told.hexdigest()[:12]
