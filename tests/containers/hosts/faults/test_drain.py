# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker that is told to go finishes the job in hand."""

from __future__ import annotations

from scripts.hosts.waiting import until
from tests.containers.hosts.faults.conftest import Host, Watch


def test_a_stop_waits_for_the_job_in_hand_and_leaves_the_next(host: Host, watch: Watch) -> None:
    host.begin("in-hand")
    clock = watch("systemctl stop, in the middle of a job")
    host.machine.run("systemctl", "stop", "sd-worker.service")
    clock.until(lambda: host.machine.unit() == "inactive", "stopped", 110, 110)
    result = host.result("in-hand")
    assert (result["status"], result["attempts"]) == ("succeeded", 1)
    states = [line["state"] for line in host.machine.log("worker.log") if line["event"] == "state"]
    assert states[-2:] == ["draining", "stopped"]
    assert [line["how"] for line in host.machine.log("host.log") if line["event"] == "ended"] == ["success exited 0"]
    assert (host.container(), host.given_up(), host.unhealthy()) == ("", "", False)


def test_user_data_that_are_run_again_leave_the_worker_alone(host: Host) -> None:
    before = host.container()
    host.machine.sh("rm -rf /var/lib/cloud/instances/*/sem")  # otherwise cloud-init would not run them
    host.machine.boot()
    assert host.machine.answers("/ready") and host.container() == before
    until(lambda: host.state() == "InService", "still in service", 5)
