# SPDX-License-Identifier: GPL-3.0-or-later
"""The cheapest of the bad candidates; `make bad-candidates` tries all of them, under traffic."""

from __future__ import annotations

import json
import pathlib
import typing as t

from campaign import bad_builds
from tests.e2e.site import Site


def ledger(site: Site) -> dict[str, t.Any]:
    """The ledger, without a playbook run."""
    return dict(json.loads(site.parameter("release")))


def test_a_candidate_that_dies_at_boot_comes_back_by_itself(site: Site, tmp_path: pathlib.Path) -> None:
    before = ledger(site)["stable"]
    source = bad_builds.write_source(bad_builds.DIES_AT_BOOT, tmp_path / "source", "6.6.6")
    site.play("build", version="6.6.6", worker_source=str(source))
    failed = site.play("deploy", expect=2, version="6.6.6", percentage="50")
    assert "2 instances of the candidate did not come into service" in failed.failures()
    status = ledger(site)
    assert (status["status"], status["stable"]) == ("stable", before)
    assert site.template_versions() == {before["template_version"]}
    assert status["rejected"][-1]["version"] == "6.6.6"
