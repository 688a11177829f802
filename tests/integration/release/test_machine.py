# SPDX-License-Identifier: GPL-3.0-or-later
"""A small, fixed sample of the state machine; ``make machine`` runs thousands of steps."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.support.machine import STEPS, FleetMachine

pytestmark = pytest.mark.slow


def test_the_invariants_hold_after_each_step() -> None:
    settings = hypothesis.settings(
        max_examples=4,
        stateful_step_count=12,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    run_state_machine_as_test(FleetMachine, settings=settings)
    assert STEPS.total() > 12
