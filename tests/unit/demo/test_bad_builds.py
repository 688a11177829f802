# SPDX-License-Identifier: GPL-3.0-or-later
"""The bad builds can be made from the worker of this checkout, and their time on AWS follows from the inventory."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from campaign import bad_builds, on_aws
from campaign.bad_builds import BadBuild

EVERY = [*bad_builds.ALL, *bad_builds.MORE]


@pytest.mark.parametrize("build", EVERY, ids=lambda build: build.key)
def test_each_is_one_slip_away_from_the_worker(build: BadBuild, tmp_path: Path) -> None:
    written = bad_builds.write_source(build, tmp_path / "source", "2.0.0") / "src" / "api_scheduler"
    original = bad_builds.WORKER / "src" / "api_scheduler"
    changed = {
        str(path.relative_to(written))
        for path in written.rglob("*.py")
        if path.read_text() != (original / path.relative_to(written)).read_text()
    }
    assert changed == {"__init__.py", build.edit.file}
    ast.parse((written / build.edit.file).read_text())


def test_what_waits_for_the_launch_hook_takes_as_long_as_the_inventory_says() -> None:
    settings = yaml.safe_load(on_aws.INVENTORY.read_text())
    seen = on_aws.Seen(instances=2, jobs=0)
    later = on_aws.estimate("ready", seen).verdict - on_aws.estimate("boot", seen).verdict
    assert later == settings["fleet_launch_hook_seconds"] - settings["fleet_release_timing"]["replacement"]


def test_more_jobs_until_the_verdict_take_more_time_and_slow_ones_twice_as_much() -> None:
    few, many = on_aws.Seen(instances=2, jobs=10), on_aws.Seen(instances=2, jobs=30)
    fails = on_aws.estimate("fails", many).verdict - on_aws.estimate("fails", few).verdict
    slow = on_aws.estimate("slow", many).verdict - on_aws.estimate("slow", few).verdict
    assert slow == 2 * fails > 0
