# SPDX-License-Identifier: GPL-3.0-or-later
"""Before a start and after an end: the image by digest, and a worker that never comes up is given up."""

from __future__ import annotations

import pytest

from tests.unit.host.conftest import IMAGE, Host


def test_the_image_is_fetched_by_its_digest(host: Host) -> None:
    host.answer("docker-image", "exit 1")
    host.answer("docker-container", "exit 1")
    assert host.call("prepare") == 0
    assert host.commands("docker pull") == [f"docker pull --quiet {IMAGE}"]
    assert (host.log("host")[0]["event"], host.log("host")[0]["fetched"]) == ("starting", True)


def test_an_image_that_is_there_is_not_fetched(host: Host) -> None:
    assert host.call("prepare") == 0
    assert not host.commands("docker pull")


def test_a_container_that_is_left_is_removed_first(host: Host) -> None:
    host.call("prepare")
    assert "docker rm --force sd-worker" in host.commands("docker")


def test_it_is_removed_after_an_end_as_well(host: Host) -> None:
    host.call("ended", SERVICE_RESULT="success", EXIT_CODE="exited", EXIT_STATUS="0")
    assert "docker rm --force sd-worker" in host.commands("docker")


def test_an_engine_that_has_died_is_started_or_given_as_the_reason(host: Host) -> None:
    host.call("prepare")
    assert host.commands("systemctl start") == ["systemctl start docker.service"]
    host.answer("systemctl-start", "echo 'docker.service failed' >&2; exit 1")
    assert host.call("prepare") == 1
    assert "docker.service failed" in host.log("host")[-1]["reason"]


def test_the_environment_is_read_as_systemd_reads_it(host: Host) -> None:
    host.env["SD_IMAGE"] = f'"{IMAGE}"'
    assert host.call("prepare") == 0
    assert host.commands("docker image") == [f"docker image inspect {IMAGE}"]


def test_a_log_that_cannot_be_written_keeps_no_worker_from_starting(host: Host) -> None:
    host.settings["log_dir"] = str(host.folder / "nowhere")
    assert host.call("prepare") == 0


@pytest.mark.parametrize("image", ["", "repository:1.0.0"])
def test_an_image_without_a_digest_is_refused(host: Host, image: str) -> None:
    host.env["SD_IMAGE"] = image
    assert host.call("prepare") == 1
    assert "must name a digest" in host.log("host")[0]["reason"]


def test_user_data_of_another_deployment_are_refused(host: Host) -> None:
    host.env["SD_DEPLOYMENT_ID"] = "other"
    assert host.call("prepare") == 1
    assert "'other'" in host.log("host")[0]["reason"]


def test_a_registry_that_is_not_there_is_given_as_the_reason(host: Host) -> None:
    host.answer("docker-image", "exit 1")
    host.answer("docker-pull", "echo 'connection refused' >&2; exit 1")
    for _unused in range(3):
        assert host.call("prepare") == 1
        host.call("ended", SERVICE_RESULT="exit-code", EXIT_CODE="exited", EXIT_STATUS="1")
    assert "3 times in a row" in host.given_up and "connection refused" in host.given_up


def test_a_worker_that_fails_three_times_is_given_up_with_its_last_words(host: Host) -> None:
    host.fail(2)
    assert not host.given_up
    (host.folder / "worker.log").write_text('{"event": "log", "message": "cannot draw"}\n')
    host.fail(1)
    assert "cannot draw" in host.given_up and "exit-code exited 1" in host.given_up


def test_what_docker_says_of_a_container_that_never_started_is_the_reason(host: Host) -> None:
    said = 'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].'
    added = 'time="2026-11-29T20:17:13Z" level=error msg="error waiting for container: context canceled"'
    (host.folder / "worker.log").write_text(f"{said}\n{added}\n")
    host.fail(3)
    assert host.given_up.endswith(said)


def test_a_worker_that_ran_for_long_starts_counting_afresh(host: Host) -> None:
    host.fail(2)
    host.settings["steady_seconds"] = 0
    host.fail(5)
    assert not host.given_up


def test_a_pull_that_fails_late_is_no_steady_worker(host: Host) -> None:
    host.settings["steady_seconds"] = 0
    host.answer("docker-image", "exit 1")
    host.answer("docker-pull", "exit 1")
    host.fail(3)
    assert host.given_up


@pytest.mark.parametrize("job", ["stop", "restart"])
def test_an_end_that_was_asked_for_is_no_failure(host: Host, job: str) -> None:
    host.answer("systemctl-list-jobs", f"echo '41 sd-worker.service {job} running'")
    host.fail(4)
    assert not host.given_up


def test_the_job_that_starts_it_is_not_taken_for_a_wish_to_stop(host: Host) -> None:
    host.answer("systemctl-list-jobs", "echo '41 sd-worker.service start running'")
    host.fail(3)
    assert host.given_up


def test_settings_of_another_version_are_refused(host: Host) -> None:
    host.settings["unheard_of"] = 1
    assert host.call("prepare") == 1
