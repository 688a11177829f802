# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that becomes a host with everything started at once, as a stock image does at its first boot."""

from __future__ import annotations

from scripts.hosts import machine
from scripts.hosts.baking import apply_role
from scripts.hosts.deployment import Deployment
from scripts.hosts.machine import Machine


def test_the_engine_knows_the_card_that_came_after_it(fleet: Deployment, role: dict[str, object]) -> None:
    with Machine.create("fleet-first-boot", machine.IMAGE) as made:
        apply_role([made], role)
        instance = fleet.launch()
        made.join(instance)
        made.boot()
        made.wait_ready()
        fleet.wait_state(instance, "InService", 30)
        fleet.terminate(instance)
        fleet.wait_state(instance, "gone", 60)
