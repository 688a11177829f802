# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host tells its group once it has given its worker up."""

from __future__ import annotations

import pytest

from tests.unit.host.conftest import Cloud, Host


@pytest.fixture
def lost(host: Host) -> Host:
    host.fail(3)
    return host


def test_a_launch_is_abandoned(lost: Host, cloud: Cloud) -> None:
    cloud.waiting = {"launch"}
    lost.check()
    assert cloud.told() == ["launch ABANDON"]
    (line,) = [line for line in lost.log("health-check") if line.get("reported")]
    assert (line["reported"], line["reason"]) == ("launch abandoned", lost.given_up)
    assert cloud.calls[0]["InstanceId"] == "i-1"


def test_an_instance_in_service_is_reported_whatever_its_grace(lost: Host, cloud: Cloud) -> None:
    lost.check()
    assert cloud.told() == ["launch ABANDON", "Unhealthy"]
    assert cloud.calls[1]["ShouldRespectGracePeriod"] == "false"


def test_its_termination_is_let_go_on(lost: Host, cloud: Cloud) -> None:
    lost.check()
    cloud.target, cloud.waiting = "Terminated", {"terminate"}
    lost.check()
    assert cloud.told()[-1] == "terminate CONTINUE"


def test_metadata_that_do_not_know_the_instance_are_asked_again(lost: Host, cloud: Cloud) -> None:
    cloud.instance = None
    lost.check()
    assert not cloud.told()
    assert "does not know this instance" in lost.log("health-check")[-1]["reported"]


def test_a_group_that_does_not_answer_is_told_again(lost: Host, cloud: Cloud) -> None:
    cloud.broken = True
    lost.check()
    assert "not told" in lost.log("health-check")[-1]["reported"]
    cloud.broken = False
    lost.check()
    assert cloud.told()[-1] == "Unhealthy"


def test_what_is_told_again_is_logged_once(lost: Host) -> None:
    lost.check(3)
    assert len(lost.log("health-check")) == 1


def test_an_instance_without_a_group_tells_nobody(lost: Host, cloud: Cloud) -> None:
    del lost.env["SD_GROUP"]
    lost.check()
    assert not cloud.calls
    assert "no group" in lost.log("health-check")[-1]["reported"]
