# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's life: from the user data of its launch template to its first picture, and out of the group again."""

from __future__ import annotations

import pytest

from scripts.hosts.deployment import Deployment, Instance
from scripts.hosts.machine import Machine
from scripts.hosts.waiting import until
from scripts.rehearsal.images import DockerFailed
from tests.containers.hosts.conftest import Host


def request(name: str) -> dict[str, object]:
    return {"id": name, "api": "/sdapi/v1/txt2img", "payload": {"prompt": "a red three", "steps": 4}}


def drains(fleet: Deployment, machine: Machine, instance: Instance) -> None:
    """Taken out of the group in the middle of a job: the job ends, and then the host is let go."""
    fleet.account.send(request("last"))
    until(lambda: any(line.get("state") == "busy" for line in machine.log("worker.log")), "the job to begin", 30)
    fleet.terminate(instance)
    fleet.wait_state(instance, "gone", 60)
    assert fleet.account.results()["last"]["status"] == "succeeded"


def test_in_service_means_has_drawn_and_out_of_service_means_has_finished(fleet: Deployment, host: Host) -> None:
    machine, instance = host.machine, host.instance
    assert fleet.state(instance) == "Pending:Wait"
    machine.boot()
    machine.wait_ready()
    fleet.wait_state(instance, "InService", 30)
    started = machine.log("host.log")[0]
    assert started["event"] == "starting" and started["fetched"] is True
    fleet.account.send(request("first"))
    until(lambda: "first" in fleet.account.answered(), "the picture", 60)
    result = fleet.account.results()["first"]
    assert (result["status"], result["worker"]["instance_id"]) == ("succeeded", instance.instance_id)
    drains(fleet, machine, instance)


def test_the_image_comes_from_ecr_with_the_keys_of_the_role_alone(host: Host) -> None:
    machine = host.machine
    machine.boot()
    machine.wait_ready()
    image = machine.run("docker", "inspect", "--format", "{{.Config.Image}}", "sd-worker").strip()
    assert ".dkr.ecr.us-east-1.amazonaws.com/sd-inference-hosts@sha256:" in image
    machine.run("systemctl", "stop", "sd-worker.service", "cloud-metadata.service")
    machine.run("docker", "image", "rm", "--force", image)
    with pytest.raises(DockerFailed, match=r"Job for sd-worker.service failed"):  # no metadata, no keys, no log-in
        machine.run("systemctl", "start", "sd-worker.service")
    assert "no basic auth credentials" in machine.log("host.log")[-2]["reason"]
