# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine under the worker is restarted, or killed."""

from __future__ import annotations

from tests.containers.hosts.faults.conftest import Host, Watch


def test_a_restart_of_the_engine_waits_for_the_job_in_hand(host: Host, watch: Watch) -> None:
    before = host.container()
    host.begin("while-restarting")
    host.machine.run("systemctl", "restart", "docker.service")
    clock = watch("systemctl restart docker, once it has come back")
    clock.until(lambda: host.another(before), "another container", 10, 30)
    host.machine.wait_ready()
    result = host.result("while-restarting")
    assert (result["status"], result["attempts"]) == ("succeeded", 1)
    ended = [line for line in host.machine.log("host.log") if line["event"] == "ended"]
    assert [(line["asked"], line["how"]) for line in ended] == [(True, "success exited 0")]
    assert (host.state(), host.given_up(), host.unhealthy()) == ("InService", "", False)


def test_an_engine_that_is_killed_comes_back_with_a_worker(host: Host, watch: Watch) -> None:
    before, clock = host.container(), watch("kill -9 of dockerd")
    host.machine.sh("kill -KILL $(pidof dockerd)")
    clock.until(lambda: host.another(before), "another container", 15, 60)
    host.machine.wait_ready()
    assert host.events("host.log") == ["starting", "ended", "starting"]
    assert (host.state(), host.given_up(), host.unhealthy()) == ("InService", "", False)
    assert host.machine.sh("docker ps --quiet").split() != [], "one container, and not two"
    assert len(host.machine.sh("docker ps --all --quiet").split()) == 1
