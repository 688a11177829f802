# SPDX-License-Identifier: GPL-3.0-or-later
"""bake_ami.yml on a real host: its builder is a machine with systemd in a container, reached by Docker's connection.

Session Manager is the one thing that another connection stands in for.
"""

from __future__ import annotations

import collections.abc
import contextlib
import json
import pathlib
import threading
import typing as t

import pytest

from scripts.hosts import machine as machines
from tests.support.baking import builders, client, deployment, images, play
from tests.support.docker import Docker, Refused
from tests.support.playbooks import Run, local_aws

HOST = "fleet-bake-host"
VARIABLES: t.Mapping[str, t.Any] = {
    "fleet_bake_configure": True,
    "fleet_bake_connection": "community.docker.docker",
    "fleet_host_variables": machines.NO_CARD,
}


@pytest.fixture
def endpoint(tmp_path: pathlib.Path) -> collections.abc.Iterator[str]:
    """An account with what bake_ami.yml looks at."""
    with local_aws(tmp_path) as address:
        deployment(lambda service: client(address, service))
        yield address


@pytest.fixture
def machine(docker: Docker) -> collections.abc.Iterator[list[str]]:
    """A machine that has booted; the names it may have."""
    docker.tell("hosts")
    machines.prepare()
    names = [HOST]
    try:
        machines.Machine.create(HOST)
        yield names
    finally:
        for name in names:
            with contextlib.suppress(Refused):
                docker.run("rm", "--force", "--volumes", name)


def bake(endpoint: str, docker: Docker, names: list[str], then: t.Callable[[str], None]) -> Run:
    """Run the playbook; the machine takes the builder's name once there is one, as if it had booted."""
    over = threading.Event()

    def boot() -> None:
        ec2 = client(endpoint, "ec2")
        while not over.wait(0.2):
            found = builders(ec2)
            if found:
                docker.run("rename", HOST, found[0])
                names.append(found[0])
                then(found[0])
                return

    thread = threading.Thread(target=boot)
    thread.start()
    try:
        return play(endpoint, "bake_ami", "-e", json.dumps(VARIABLES))
    finally:
        over.set()
        thread.join()


def test_the_builder_becomes_a_host(endpoint: str, docker: Docker, machine: list[str]) -> None:
    run = bake(endpoint, docker, machine, lambda _unused: None)
    assert run.code == 0, run.failures() or run.text
    host = machine[-1]
    assert docker.run("exec", host, "systemctl", "is-enabled", "docker.service").strip() == "enabled"
    docker.run("exec", host, "test", "-e", "/etc/systemd/system/sd-worker.service")
    with pytest.raises(Refused):
        docker.run("exec", host, "test", "-e", "/var/lib/cloud/instance")
    ec2 = client(endpoint, "ec2")
    assert (len(images(ec2)), builders(ec2)) == (1, [])


def test_a_builder_that_is_lost_on_the_way_is_ended(endpoint: str, docker: Docker, machine: list[str]) -> None:
    def lose(name: str) -> None:
        docker.run("exec", name, "sh", "-c", "while [ ! -d /etc/docker ]; do sleep 0.2; done")
        docker.run("kill", name)

    run = bake(endpoint, docker, machine, lose)
    assert run.code != 0
    assert "it is ended, and no machine image was made" in run.failures()
    ec2 = client(endpoint, "ec2")
    assert (images(ec2), builders(ec2)) == ([], [])
