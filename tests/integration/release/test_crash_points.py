# SPDX-License-Identifier: GPL-3.0-or-later
"""A sample of the crash campaign: the controller dies, or meets a fault, at calls drawn by a seed."""

from __future__ import annotations

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
