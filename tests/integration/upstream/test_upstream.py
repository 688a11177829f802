# SPDX-License-Identifier: GPL-3.0-or-later
"""The unmodified upstream modules against local_aws, twice."""

from __future__ import annotations

import pathlib

import pytest

from tests.support.playbooks import local_aws, run_playbook
from tests.support.warm.python import warm_modules

pytestmark = pytest.mark.slow

PLAYBOOK = pathlib.Path(__file__).with_name("upstream.yml")

# Tasks that report a change at every run, whatever the account answers.
ALWAYS_CHANGED = {
    # cloudwatch_metric_alarm takes Metrics out of what AWS answers before it compares, but not out of what it wants.
    "Alarm on metric math",
}
# Tasks that report no change even at the first run.
NEVER_CHANGED = {
    # autoscaling_instance_refresh never sets "changed": a refresh that it has really started counts as none.
    "Instance refresh",
    "Cancel the instance refresh",
}


def test_upstream_modules_work_twice(tmp_path: pathlib.Path) -> None:
    with local_aws(tmp_path) as endpoint, warm_modules(tmp_path):
        first = run_playbook(PLAYBOOK, endpoint)
        assert first.code == 0, first.failures() or first.text
        second = run_playbook(PLAYBOOK, endpoint)
        assert second.code == 0, second.failures() or second.text
    assert set(first.changed()) == {name for name, _unused in first.results} - NEVER_CHANGED
    assert set(second.changed()) == ALWAYS_CHANGED
