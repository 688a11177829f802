# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot without what it needs."""

from __future__ import annotations

from scripts.hosts.waiting import until
from tests.containers.hosts.faults.conftest import Host, Watch

NO_REGISTRY = ("iptables", "-I", "OUTPUT", "-p", "tcp", "--dport", "443", "-j", "REJECT")
REGISTRY = ("iptables", "-D", *NO_REGISTRY[2:])


def test_without_a_registry_the_launch_is_abandoned(switched_on: Host, watch: Watch) -> None:
    host = switched_on
    host.machine.run(*NO_REGISTRY)
    clock = watch("a boot without a registry")
    host.machine.boot(wait=False)
    clock.until(lambda: host.state() == "gone", "launch abandoned", 90, 240)
    assert host.events("host.log") == ["not started", "ended"] * 3 + ["given up"]
    assert "the worker failed 3 times in a row: docker pull" in host.given_up()
    assert host.machine.log("host.log")[-1]["reason"] == host.given_up()
    assert host.machine.log("health-check.log")[0]["reported"] == "launch abandoned"
    assert host.container() == ""


def test_a_registry_that_comes_back_in_time_is_enough(switched_on: Host, watch: Watch) -> None:
    host = switched_on
    host.machine.run(*NO_REGISTRY)
    host.machine.boot(wait=False)
    until(lambda: "not started" in host.events("host.log"), "the first start to fail", 90, host.machine.tell)
    clock = watch("the registry comes back")
    host.machine.run(*REGISTRY)
    clock.until(lambda: host.state() == "InService", "in service", 30, 120)
    assert host.events("host.log")[-1] == "starting" and host.given_up() == ""
