# SPDX-License-Identifier: GPL-3.0-or-later
"""While a release is open, everything that others rely on still says stable."""

from __future__ import annotations

from tests.support.fleet import Fleet


def test_an_open_release_leaves_stable_and_the_groups_template_alone(fleet: Fleet) -> None:
    before = fleet.ledger.stable
    assert before is not None
    fleet.start(lambda line: "reached, judging" in line, version="1.1.0", percentage="50")
    assert fleet.versions().count("1.1.0") == 3
    assert fleet.ledger.stable == before
    assert fleet.parameter("image-version") == "1.0.0"
    assert fleet.group()["LaunchTemplate"]["Version"] == before.template_version
