# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker is lost: killed, killed again and again, frozen."""

from __future__ import annotations

import functools

from scripts.hosts.waiting import until
from tests.containers.hosts.faults.conftest import Host, Watch


def test_a_killed_worker_is_started_again(host: Host, watch: Watch) -> None:
    before, clock = host.container(), watch("docker kill")
    host.docker("kill", "sd-worker")
    clock.until(lambda: host.another(before), "another container", 10, 30)
    host.machine.wait_ready()
    log = host.machine.log("host.log")
    assert [line["event"] for line in log] == ["starting", "ended", "starting"]
    assert (log[1]["how"], log[1]["asked"], log[1]["failed_starts"]) == ("exit-code exited 137", False, 1)
    assert (host.state(), host.given_up(), host.unhealthy()) == ("InService", "", False)


def test_one_that_is_killed_three_times_in_a_row_is_reported(host: Host, watch: Watch) -> None:
    found = ""
    for _unused in range(3):
        found = until(functools.partial(host.another, found), "another container", 30, host.machine.tell)
        clock = watch("the third docker kill in a row")
        host.docker("kill", "sd-worker")
    clock.until(host.unhealthy, "reported unhealthy", 10, 30)
    assert "the worker failed 3 times in a row: exit-code exited 137" in host.given_up()
    assert host.events("host.log") == ["starting", "ended"] * 3 + ["given up"]
    assert host.machine.log("host.log")[-1]["reason"] == host.given_up()
    clock.until(lambda: host.state() == "gone", "let go", 30, 60)
    assert host.machine.log("health-check.log")[-1]["reported"] == "termination may go on"
    assert (host.container(), host.machine.unit()) == ("", "inactive")


def test_a_frozen_worker_is_started_again_and_reported_the_second_time(host: Host, watch: Watch) -> None:
    before, clock = host.container(), watch("docker pause")
    host.docker("pause", "sd-worker")
    clock.until(lambda: host.another(before), "another container", 60, 90)
    host.machine.wait_ready()
    assert host.checks() == [(1, ""), (2, ""), (0, "restart")]
    assert (host.state(), host.given_up(), host.unhealthy()) == ("InService", "", False)
    until(host.knows_its_worker, "the first health check", 30, host.machine.tell)
    again = watch("docker pause within the hour")
    host.docker("pause", "sd-worker")
    again.until(host.unhealthy, "reported unhealthy", 55, 90)
    assert "3 times in a row, after 1 restart(s) for the same reason" in host.given_up()
    assert host.given_up() in [line.get("reason") for line in host.machine.log("host.log")]
