# SPDX-License-Identifier: GPL-3.0-or-later
"""A sample of the crash campaign: the controller dies, or meets a fault, at calls drawn by a seed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.slow


def test_every_sampled_call_converges() -> None:
    # A process of its own: it forks in the middle of calls.
    command = [sys.executable, "-m", "campaign.crash", "--jobs", "1", "--sample", "6", "--seed", "7"]
    wanted = ["--only", "good candidate", "paused release promoted"]
    ran = subprocess.run([*command, *wanted], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "12 tried, 12 converged (100.0 %)" in ran.stdout


SPOILED = """
import dataclasses, json
from campaign.crash.forks import elsewhere
from campaign.crash.points import Point, Variant
from campaign.crash.scenarios import SCENARIOS, make_fleet
from campaign.crash.trial import Trial
from tests.support.probe import Trouble

def prepare(fleet):
    good.prepare(fleet)
    group = fleet.names.group
    fleet.client("autoscaling").suspend_processes(AutoScalingGroupName=group, ScalingProcesses=["AZRebalance"])

good = next(scenario for scenario in SCENARIOS if scenario.name == "good candidate")
_unused, fleet = make_fleet()
trial = Trial(dataclasses.replace(good, prepare=prepare), fleet, 1)
change = next(point for point in (Point(**row) for row in elsewhere(trial.points)) if not point.reads)
troubles = (Trouble.KILLED_AFTER, Trouble.REPLY_LOST)
reports = elsewhere(lambda: trial.play([Variant(change, trouble, "forward") for trouble in troubles]))
print(json.dumps({report["trouble"]: report["problems"] for report in reports}))
"""


def test_what_is_wrong_in_the_end_is_told_whether_the_run_died_or_met_a_fault() -> None:
    ran = subprocess.run([sys.executable, "-c", SPOILED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    problems = json.loads(ran.stdout)
    assert sorted(problems) == ["killed after", "reply lost"]
    for found in problems.values():
        assert [text for text in found if text.startswith("suspended:") and "AZRebalance" in text], found
