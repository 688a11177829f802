# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a rollback that was seen here would take on AWS: arithmetic on the aws inventory's settings.

What cannot be shortened there is counted in full: a minute until a new alarm is OK, ``replacement`` seconds from a
launch to the first picture, the launch hook, the time that a real picture takes. What was seen here is counted where it
is a number of things, not a time: how many jobs of the candidate it took.
"""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

import yaml

INVENTORY = Path(__file__).resolve().parents[1] / "inventory" / "aws" / "group_vars" / "all.yml"
JOB_SECONDS = 5.0
"""A picture of 512 × 512 in 20 steps on the T4 of a g4dn.xlarge."""
HANG_SECONDS = 120.0
"""SD_HANG_SECONDS where nothing is set (worker_app/src/api_scheduler/settings.py)."""
HEALTH_SECONDS = 105.0
"""A minute to start, and three probes of the health timer, ten seconds apart, that wait for five (as the hosts of
local_aws have it): for a worker that freezes in its first job, before it has answered any."""
LOG_SECONDS = 5.0
"""From a finished job to its line in the log group (DESIGN: shipped within 5 s)."""


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was counted here before the verdict."""

    instances: int
    """Candidates launched together in the first step."""
    jobs: int
    """Jobs that they had finished or given up when the verdict fell."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Seconds on AWS, from the start of the playbook."""

    verdict: float
    back: float
    how: str


def estimate(key: str, seen: Seen) -> Estimate:
    """The time that the bad build of that key would take."""
    settings: dict[str, t.Any] = yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))
    timing = settings["fleet_release_timing"]
    start = timing["gate_period"] + timing["poll"]
    boot, hook = timing["replacement"], settings["fleet_launch_hook_seconds"]
    each = seen.jobs / max(seen.instances, 1)
    spent, how = {
        "boot": (boot, f"{boot} launch"),
        "ready": (hook, f"{hook} launch hook"),
        "fails": (boot + each * JOB_SECONDS, f"{boot} launch + {each:.0f} jobs × {JOB_SECONDS:g}"),
        "slow": (boot + each * 2 * JOB_SECONDS, f"{boot} launch + {each:.0f} jobs × {2 * JOB_SECONDS:g}"),
        "hangs": (boot + max(each, 1) * HANG_SECONDS, f"{boot} launch + {max(each, 1):.0f} hangs × {HANG_SECONDS:g}"),
        "freezes": (boot + HEALTH_SECONDS, f"{boot} launch + {HEALTH_SECONDS:g} health timer"),
    }[key]
    verdict = start + spent + LOG_SECONDS + timing["poll"]
    return Estimate(verdict, verdict + boot + timing["poll"], f"{start} start + {how}")
