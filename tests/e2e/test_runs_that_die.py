# SPDX-License-Identifier: GPL-3.0-or-later
"""deploy.yml killed in the middle of a step: taken up, rolled back, or left alone. And two of them at once."""

from __future__ import annotations

import os
import signal
import time
import typing as t

from scripts.rehearsal.traffic import wait_until
from tests.e2e.site import PATIENT, Site, read_until


def killed_in_a_step(site: Site, version: str) -> None:
    """Start a release and kill it, with everything it started, as soon as it has reached its first step."""
    site.build(version)
    wish = {"version": version, "percentage": "50", "fleet_release_timing": PATIENT}
    with site.playing("deploy", **wish) as process:
        read_until(process, "reached, judging", 120)
        os.killpg(process.pid, signal.SIGKILL)
    assert site.parameter("deployment-status") == "in-progress"


def test_the_next_deploy_takes_it_up_and_finishes(site: Site, versions: t.Iterator[str]) -> None:
    version = next(versions)
    killed_in_a_step(site, version)
    site.play("deploy", version=version, percentage="50", fleet_release_timing=PATIENT)
    status = site.status()
    assert (status["status"], status["stable"]["version"]) == ("stable", version)
    assert site.template_versions() == {status["stable"]["template_version"]}
    assert status["lock"] is None


def test_a_rollback_instead_returns_to_stable(site: Site, versions: t.Iterator[str]) -> None:
    before, version = site.status()["stable"], next(versions)
    killed_in_a_step(site, version)
    site.play("rollback", fleet_release_timing=PATIENT, reason="the controller died")
    status = site.status()
    assert (status["status"], status["stable"]) == ("stable", before)
    assert site.template_versions() == {before["template_version"]}
    assert status["rejected"][-1] == {**status["rejected"][-1], "version": version, "reason": "the controller died"}


def test_nobody_at_all_and_the_gate_rolls_back(site: Site, versions: t.Iterator[str]) -> None:
    before, version = site.status()["stable"], next(versions)
    killed_in_a_step(site, version)
    wait_until("rollback by the gate", lambda: site.refresh_status() == "RollbackSuccessful", 150)
    assert site.template_versions() == {before["template_version"]}
    assert site.parameter("image-version") == before["version"]
    failed = site.play("deploy", expect=2, version=version, fleet_release_timing=PATIENT)
    assert "AWS ended the instance refresh as RollbackSuccessful" in failed.failures()
    assert site.parameter("deployment-status") == "stable"


def test_of_two_at_once_one_goes_through_and_the_other_names_the_holder(site: Site, versions: t.Iterator[str]) -> None:
    version = next(versions)
    site.build(version)
    with site.playing("deploy", version=version, percentage="100") as first:
        read_until(first, "preparing", 60)
        started = time.monotonic()
        second = site.play("deploy", expect=2, version=version, percentage="100")
        waited = time.monotonic() - started
        holder = f"{os.environ.get('USER', 'root')}@{os.uname().nodename}"
        assert "is releasing e2e right now" in second.failures()
        assert holder in second.failures()
        assert waited < 30, f"the second run took {waited:.0f} s"
        assert first.wait(timeout=180) == 0
    assert site.status()["stable"]["version"] == version
