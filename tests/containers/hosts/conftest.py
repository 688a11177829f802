# SPDX-License-Identifier: GPL-3.0-or-later
"""A site with machines, one for all tests of this folder: the engine knows one registry by ECR's name at a time."""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

import pytest

from scripts.hosts import deployment, machine, site
from scripts.hosts.baking import baked
from scripts.hosts.deployment import Deployment, Instance
from scripts.hosts.machine import Machine
from scripts.hosts.site import Site
from tests.containers.conftest import NAME
from tests.support.docker import Docker

DEPLOYMENT = "hosts"
_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def place(docker: Docker) -> t.Iterator[Site]:
    """local_aws and its registry."""
    yield site.up(NAME)
    site.down(NAME)


@pytest.fixture(scope="package")
def fleet(place: Site) -> Deployment:
    """A deployment whose workers play the engine without a model; a job takes two seconds."""
    made = Deployment(place, DEPLOYMENT)
    made.create(deployment.build(place, DEPLOYMENT), **deployment.NOOP, SD_NOOP_MS="2000")
    return made


@pytest.fixture(scope="package")
def host_image(fleet: Deployment) -> str:
    """A machine to which the role was applied."""
    return baked({**machine.NO_CARD, "gpu_worker_deployment_id": DEPLOYMENT})


@dataclasses.dataclass(frozen=True)
class Host:
    """A machine, and the instance that it is."""

    machine: Machine
    instance: Instance


@pytest.fixture
def host(fleet: Deployment, host_image: str) -> t.Iterator[Host]:
    """A host that has the identity of an instance and has not booted with its user data yet."""
    with Machine.create(f"fleet-host-{next(_numbers)}", host_image) as made:
        instance = fleet.launch()
        made.join(instance)
        yield Host(made, instance)
        if fleet.state(instance) != "gone":
            fleet.terminate(instance)
