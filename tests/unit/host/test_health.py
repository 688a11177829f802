# SPDX-License-Identifier: GPL-3.0-or-later
"""The health timer: one failure is never enough, a silent worker is started again once, a broken host is reported."""

from __future__ import annotations

from tests.unit.host.conftest import Cloud, Host

KILLED = ["docker kill sd-worker"]


def running(host: Host) -> Host:
    """A host whose worker has answered."""
    host.call("prepare")
    host.check()
    return host


def test_a_worker_that_answers_leaves_no_trace(host: Host) -> None:
    running(host).check(5)
    assert not host.log("health-check")
    assert not host.commands("docker kill")


def test_two_failures_change_nothing(host: Host, cloud: Cloud) -> None:
    running(host)
    cloud.health = 503
    host.check(2)
    cloud.health = 200
    host.check()
    cloud.health = 503
    host.check(2)
    assert not host.commands("docker kill")
    assert [line["event"] for line in host.log("health-check")].count("healthy again") == 1


def test_a_silent_worker_is_killed_so_that_systemd_starts_it_again(host: Host, cloud: Cloud) -> None:
    running(host)
    cloud.health = 503
    host.check(3)
    assert host.commands("docker kill") == KILLED
    assert not host.given_up and not cloud.told()
    assert "answered" in host.log("health-check")[-1]["problem"]


def test_it_is_not_given_up_because_its_end_takes_a_while(host: Host, cloud: Cloud) -> None:
    running(host)
    cloud.health = 503
    host.check(4)
    assert host.commands("docker kill") == KILLED
    assert not host.given_up


def test_its_end_is_then_no_failed_start(host: Host, cloud: Cloud) -> None:
    host.settings["starts"] = 1
    running(host)
    cloud.health = 503
    host.check(3)
    host.call("ended", SERVICE_RESULT="exit-code", EXIT_CODE="exited", EXIT_STATUS="137")
    assert not host.given_up


def test_one_that_falls_silent_again_is_reported(host: Host, cloud: Cloud) -> None:
    for _unused in range(2):
        running(host)
        cloud.health = 503
        host.check(3)
        cloud.health = 200
        host.call("ended", SERVICE_RESULT="exit-code", EXIT_CODE="exited", EXIT_STATUS="137")
    assert cloud.told() == ["launch ABANDON", "Unhealthy"]
    assert "after 1 restart" in host.given_up
    assert host.log("health-check")[-1]["reported"] == "reported unhealthy"


def test_an_old_silence_is_forgotten(host: Host, cloud: Cloud) -> None:
    host.settings["restarts_seconds"] = 0
    for _unused in range(3):
        running(host)
        cloud.health = 503
        host.check(3)
        cloud.health = 200
        host.call("ended", SERVICE_RESULT="exit-code", EXIT_CODE="exited", EXIT_STATUS="137")
    assert not host.given_up


def test_a_worker_that_starts_may_be_silent(host: Host, cloud: Cloud) -> None:
    host.settings["starting_seconds"] = 600
    host.call("prepare")
    cloud.health = 503
    host.check(10)
    assert not host.commands("docker kill")


def test_a_worker_that_is_not_running_is_not_asked(host: Host, cloud: Cloud) -> None:
    running(host)
    cloud.health = 503
    host.answer("systemctl-show", "echo activating")
    host.check(10)
    assert not host.log("health-check")


def test_a_worker_that_has_ended_meanwhile_is_not_judged(host: Host, cloud: Cloud) -> None:
    running(host)
    host.call("ended", SERVICE_RESULT="exit-code", EXIT_CODE="exited", EXIT_STATUS="1")
    cloud.health = 503
    host.check(3)
    assert not host.commands("docker kill") and not host.log("health-check")


def test_a_full_disk_is_reported_without_a_restart(host: Host, cloud: Cloud) -> None:
    running(host)
    host.settings["disk_free_mib"] = 10**9
    host.check(3)
    assert "is full" in host.given_up
    assert host.commands("docker kill") == KILLED
    assert cloud.told()[-1] == "Unhealthy"


def test_another_disk_that_is_full_is_reported_too(host: Host, cloud: Cloud) -> None:
    always_full = "/proc"
    host.settings |= {"disk_paths": [str(host.folder), always_full], "disk_free_mib": 1}
    running(host).check(2)
    assert "the disk of /proc is full: 0 MiB left of 1 wanted" in host.given_up
    assert cloud.told()[-1] == "Unhealthy"


def test_a_card_that_has_gone_is_reported_even_while_the_worker_starts(host: Host, cloud: Cloud) -> None:
    host.settings |= {"gpu_command": ["nvidia-smi", "--list-gpus"], "starting_seconds": 600}
    running(host)
    assert not host.log("health-check")
    host.answer("nvidia-smi---list-gpus", "echo 'Unable to determine the device handle' >&2; exit 15")
    host.check(3)
    assert "Unable to determine the device handle" in host.given_up
    assert cloud.told()[-1] == "Unhealthy"


def test_a_worker_that_cannot_be_killed_is_given_up(host: Host, cloud: Cloud) -> None:
    running(host)
    cloud.health = 503
    host.answer("docker-kill", "echo 'no answer from the daemon' >&2; exit 1")
    host.check(3)
    assert "no answer from the daemon" in host.given_up
    assert cloud.told()[-1] == "Unhealthy"
