# SPDX-License-Identifier: GPL-3.0-or-later
"""Percentages are real: what the timeline shows at each step is what the plan said before."""

from __future__ import annotations

import itertools
import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._release.module import run_release
from local_aws.harness import Harness
from tests.support.fleet import Fleet, make_fleet


def held(fleet: Fleet, version: str, seconds: float) -> list[int]:
    """Numbers of instances in service with that version that lasted as long as a step, from the timeline."""
    serving: set[str] = set()
    counts: list[tuple[t.Any, int]] = []
    for entry in fleet.harness.world.timeline.entries:
        if entry["instance"] and entry["image_version"] == version:
            change = serving.add if entry["lifecycle"] == "InService" else serving.discard
            change(entry["instance"])
            counts.append((entry["time"], len(serving)))
    counts.append((fleet.now().isoformat(), -1))
    spans = [(count, when, later) for (when, count), (later, _unused) in itertools.pairwise(counts)]
    return [count for count, when, later in spans if _seconds(when, later) >= seconds and count]


def _seconds(earlier: str, later: str) -> float:
    import datetime as dt

    return (dt.datetime.fromisoformat(later) - dt.datetime.fromisoformat(earlier)).total_seconds()


@pytest.mark.parametrize(
    ("size", "percentage", "expected"),
    [
        (1, "20", [1]),
        (2, "20", [1, 2]),
        (5, "20", [1, 2, 3, 4, 5]),
        (10, "30", [3, 6, 9, 10]),
        (20, "25", [5, 10, 15, 20]),
    ],
)
def test_instances_at_each_step(harness: Harness, size: int, percentage: str, expected: list[int]) -> None:
    fleet = make_fleet(harness, size)

    wish = {"version": "1.1.0", "percentage": percentage}
    printed = run_release(fleet, fleet.params(**wish), check_mode=True, clock=fleet)["plan"]
    planned = [step["instances"] for step in printed["steps"] if not step["skipped"]]
    fleet.release(**wish)

    assert planned == expected
    assert held(fleet, "1.1.0", printed["checkpoint_delay"]) == planned
    assert fleet.versions() == ["1.1.0"] * size
    assert lowest_in_service(fleet) >= printed["floor"]


def lowest_in_service(fleet: Fleet) -> int:
    """The lowest number in service after the first release was complete."""
    serving: set[str] = set()
    lowest, complete = fleet.size, False
    for _unused, entries in itertools.groupby(fleet.harness.world.timeline.entries, key=lambda entry: entry["time"]):
        for entry in entries:
            if entry["instance"]:
                change = serving.add if entry["lifecycle"] == "InService" else serving.discard
                change(entry["instance"])
        complete = complete or len(serving) >= fleet.size
        lowest = min(lowest, len(serving)) if complete else lowest
    return lowest
