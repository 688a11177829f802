# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook that waits for a refresh shows each news of it."""

from __future__ import annotations

import collections.abc
import pathlib

import pytest

from local_aws.harness import Harness
from tests.support.playbooks import run_playbook
from tests.support.recorder import Recorder
from tests.unit.modules.instance_refresh.conftest import provision

pytestmark = pytest.mark.slow

PLAYBOOK = pathlib.Path(__file__).with_name("refresh.yml")


@pytest.fixture
def endpoint() -> collections.abc.Iterator[str]:
    """A group of four in service, for whom each call takes twenty seconds."""
    with Harness() as harness:
        provision(harness)
        harness.advance(60)
        with Recorder(harness.endpoint, before=lambda: harness.advance(20)) as wire:
            yield wire.endpoint


def test_a_waiting_task_shows_each_news_as_it_comes(endpoint: str) -> None:
    run = run_playbook(PLAYBOOK, endpoint)
    assert run.code == 0, run.failures() or run.text
    shown = [line.strip() for line in run.text.partition("\n{")[0].splitlines()]
    assert any("checkpoint at 25%" in line for line in shown), run.text
    assert shown[-1].startswith("Successful: 100 % done"), run.text
    assert (run.results[0][1]["lines"], run.changed()) == (shown, ["Bring version 2 out"])
