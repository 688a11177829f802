# SPDX-License-Identifier: GPL-3.0-or-later
"""What no restart mends: a full disk, a card that has gone."""

from __future__ import annotations

import pytest

from scripts.hosts.waiting import until
from tests.containers.hosts.faults.conftest import CACHE, DISK_MIB, Host, Watch

LIMIT_MIB = 512


def test_a_full_disk_is_reported(host: Host, watch: Watch) -> None:
    host.machine.run("fallocate", "--length", f"{DISK_MIB - LIMIT_MIB - 50}MiB", f"{CACHE}/not-enough")
    host.wait_checked(2)  # the first may have begun before; to the second this was not enough
    assert host.checks() == []
    clock = watch(f"less than {LIMIT_MIB} MiB left")
    host.machine.run("fallocate", "--length", "100MiB", f"{CACHE}/full")
    clock.until(host.unhealthy, "reported unhealthy", 40, 60)
    assert f"the disk of {CACHE} is full: 462 MiB left of 512 wanted, 3 times in a row" in host.given_up()
    reported(host)


@pytest.mark.parametrize(
    ("fault", "script", "said"),
    [
        (
            "ends with an error",
            "echo 'Unable to determine the device handle' >&2\nexit 15",
            "Unable to determine the device",
        ),
        ("hangs", "exec sleep 600", "no end after 5 s, 3 times in a row"),
    ],
)
def test_a_card_that_has_gone_is_reported(host: Host, watch: Watch, fault: str, script: str, said: str) -> None:
    clock = watch(f"nvidia-smi {fault}")
    host.machine.write("/usr/bin/nvidia-smi", f"#!/bin/sh\n{script}\n")
    clock.until(host.unhealthy, "reported unhealthy", 55, 75)
    assert f"the GPU does not answer: nvidia-smi --list-gpus: {said}" in host.given_up()
    reported(host)


def reported(host: Host) -> None:
    """Three checks, then the worker's end, and no other in its place; the reason stands in both logs."""
    assert host.checks() == [(1, ""), (2, ""), (3, "give up")]
    for log in ("host.log", "health-check.log"):
        assert host.given_up() in [line.get("reason") for line in host.machine.log(log)]
    until(lambda: host.state() == "gone", "the group to let it go", 60, host.machine.tell)
    assert (host.container(), host.machine.unit()) == ("", "inactive")
