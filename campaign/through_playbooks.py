# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m campaign.through_playbooks``: six crashes and three predictions through the real playbooks.

Real worker processes with the ``noop`` engine on a local_aws of their own; each playbook is killed, with everything it
started, at a line that it says, and one more playbook must leave a stable deployment.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from tests.e2e.site import PATIENT, Site, read_until
from tests.support.playbooks import Run, local_aws

SECONDS = 300
TIMING: t.Mapping[str, t.Any] = {**PATIENT, "gate_period": 30}
"""A gate that leaves the time to start another playbook on a busy machine."""
HALVES: t.Mapping[str, t.Any] = {"percentage": "50"}
PAUSING: t.Mapping[str, t.Any] = {"steps": [{"percentage": 50, "pause": True}, 100]}
CRASHES = (
    ("deploy", "preparing the smoke", "deploy"),
    ("deploy", "starting the instance refresh", "rollback"),
    ("deploy", "reached, judging", "deploy"),
    ("deploy", ": pass: ", "rollback"),
    ("rollback", "going back", "rollback"),
    ("promote", "promoted by hand", "promote"),
)


def main() -> int:
    """Try all, and print a line each."""
    parser = argparse.ArgumentParser(prog="campaign.through_playbooks", description=__doc__)
    parser.add_argument("--only", default="", help="crashes of the playbook whose name contains this")
    only = parser.parse_args().only
    versions = (f"1.{minor}.0" for minor in itertools.count(1))
    with tempfile.TemporaryDirectory() as state, local_aws(Path(state)) as endpoint:
        site = Site(endpoint)
        site.play("provision", fleet_initial_capacity=2)
        site.build("1.0.0")
        site.play("deploy", version="1.0.0")
        failed = [crash for crash in CRASHES if only in crash[0] and not _crash(site, versions, *crash)]
        wrong = [name for name, predict in PREDICTIONS if not _tell(name, predict(site, versions))]
    tried = sum(only in crash[0] for crash in CRASHES)
    print(f"{tried - len(failed)} of {tried} crashes converged, ", end="")
    print(f"{len(PREDICTIONS) - len(wrong)} of {len(PREDICTIONS)} predictions came true")
    return 1 if failed or wrong else 0


# ---------------------------------------------------------------- crashes


def _crash(site: Site, versions: t.Iterator[str], playbook: str, line: str, following: str) -> bool:
    """Kill a playbook at a line, run the next, look."""
    started = time.monotonic()
    wish = _wish(site, versions, playbook)
    with site.playing(playbook, **wish) as process:
        read_until(process, line, SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
    site.play(following, **(wish if following == playbook else {"fleet_release_timing": TIMING}))
    status = site.status()
    stable = status["stable"]["template_version"]
    good = status["status"] == "stable" and status["lock"] is None and site.template_versions() == {stable}
    seconds = round(time.monotonic() - started)
    said = "converged" if good else f"NOT converged: {_short(status)}"
    print(f"{playbook}.yml killed at {line!r}, then {following}.yml: {said}, {seconds} s", flush=True)
    return good


def _short(status: t.Mapping[str, t.Any]) -> str:
    """What there is to know of a deployment that did not converge."""
    return str({name: status[name] for name in ("status", "stable", "candidate", "lock", "instances")})


def _wish(site: Site, versions: t.Iterator[str], playbook: str) -> dict[str, t.Any]:
    """The variables of the playbook to be killed, with what it needs in place."""
    wish: dict[str, t.Any] = {"fleet_release_timing": TIMING}
    if playbook == "rollback":
        return wish
    version = next(versions)
    site.build(version)
    if playbook == "promote":
        site.play("deploy", version=version, **PAUSING, **wish)
        return wish
    return {"version": version, **HALVES, **wish}


# ---------------------------------------------------------------- predictions


def _a_release(site: Site, versions: t.Iterator[str]) -> list[str]:
    version = next(versions)
    site.build(version)
    said, did = _both(site, version=version, **HALVES)
    planned, took = (_of_release(run)["plan"]["steps"] for run in (said, did))
    found = [] if planned == took else [f"steps {planned}, then {took}"]
    if not _of_release(said)["diff"]["after"].startswith(f"stable: {version}\n"):
        found.append(f"said {_of_release(said)['diff']['after']!r}")
    if not (said.changed() and did.changed() and site.status()["stable"]["version"] == version):
        found.append(f"changed {said.changed()}, then {did.changed()}; stable is {site.status()['stable']}")
    return found


def _nothing_to_do(site: Site, _versions: t.Iterator[str]) -> list[str]:
    said, did = _both(site, version=site.status()["stable"]["version"])
    same = _of_release(said)["lines"] == _of_release(did)["lines"] and not said.changed() and not did.changed()
    return [] if same else [f"{said.messages()}, then {did.messages()}"]


def _a_refusal(site: Site, _versions: t.Iterator[str]) -> list[str]:
    said, did = _both(site, expect=2, version="9.9.9")
    return [] if said.failures() == did.failures() else [f"{said.failures()}, then {did.failures()}"]


PREDICTIONS: tuple[tuple[str, t.Callable[[Site, t.Iterator[str]], list[str]]], ...] = (
    ("a release", _a_release),
    ("nothing to do", _nothing_to_do),
    ("a refusal", _a_refusal),
)


def _both(site: Site, expect: int = 0, **wish: t.Any) -> tuple[Run, Run]:
    """The same with --check and without."""
    wish = {**wish, "fleet_release_timing": TIMING}
    return site.play("deploy", expect=expect, check=True, **wish), site.play("deploy", expect=expect, **wish)


def _of_release(run: Run) -> dict[str, t.Any]:
    """The result of the release module."""
    return next(result for _unused, result in run.results if "ledger" in result)


def _tell(name: str, differences: list[str]) -> bool:
    print(f"--check of {name}: {'; '.join(differences) or 'came true'}", flush=True)
    return not differences


if __name__ == "__main__":
    sys.exit(main())
