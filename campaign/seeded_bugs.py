# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m campaign.seeded_bugs``: bugs put into a copy of the tree, and which of the fast tests catches each.

A bug whose text is no longer found fails loudly: correct it here, or it would be counted as caught.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENGINE = "plugins/module_utils/_release"
TESTS = "tests/integration/release"
FAST = ("tests/unit/release", TESTS)
"""Run after the tests that a bug names, until one fails."""
FAILED = re.compile(r"^FAILED (\S+)", re.MULTILINE)
ROW = "{:<46} {:<8} {:>5} {}"


@dataclasses.dataclass(frozen=True)
class Bug:
    """One replacement in one file."""

    name: str
    file: str
    right: str
    wrong: str
    first: str
    """Tests to begin with."""


BUGS = (
    Bug(
        "stable written before success",
        f"{ENGINE}/ledger.py",
        "        status=Status.IN_PROGRESS,\n",
        "        status=Status.IN_PROGRESS,\n"
        "        stable=dataclasses.replace(candidate, template_version=template_version),\n",
        f"{TESTS}/test_open_release.py",
    ),
    Bug(
        "the group's template touched first",
        f"{ENGINE}/actions.py",
        "            refresh_id = refreshes.start_refresh(",
        '            fleet.update_group(self._aws.client("autoscaling"), self._names, seen.group, template)\n'
        "            refresh_id = refreshes.start_refresh(",
        f"{TESTS}/test_open_release.py",
    ),
    Bug(
        "the lock skipped",
        f"{ENGINE}/decide.py",
        "    if seen.lock is not None and not _expired(seen, seen.lock):\n",
        '    if seen.lock is not None and seen.lock.run == "":\n',
        f"{TESTS}/test_crash.py",
    ),
    Bug(
        "changed forgotten",
        f"{ENGINE}/actions.py",
        "dataclasses.replace(method(seen, action), changed=changed)",
        "method(seen, action)",
        f"{TESTS}/test_release.py",
    ),
    Bug(
        "an alarm not awaited",
        f"{ENGINE}/advance.py",
        "        or _await_alarms(seen)\n",
        "",
        f"{TESTS}/test_release.py",
    ),
    Bug(
        "percentage ignored",
        f"{ENGINE}/fleet.py",
        "    if len(checkpoints) > 1:\n",
        "    if len(checkpoints) > 100:\n",
        f"{TESTS}/test_percentages.py",
    ),
    Bug(
        "a gate that never fires",
        f"{ENGINE}/alarms.py",
        '        "TreatMissingData": "breaching",\n',
        '        "TreatMissingData": "notBreaching",\n',
        f"{TESTS}/test_crash.py",
    ),
)


class StaleBugError(RuntimeError):
    """A bug's text is not in the tree any more."""


def main() -> int:
    """Seed each, and print what caught it."""
    parser = argparse.ArgumentParser(prog="campaign.seeded_bugs", description=__doc__)
    parser.add_argument("--only", default="", help="bugs whose name contains this")
    options = parser.parse_args()
    bugs = [bug for bug in BUGS if options.only in bug.name]
    print(ROW.format("bug", "caught", "s", "by"))
    missed = [bug for bug in bugs if not _caught(bug)]
    print(f"{len(bugs) - len(missed)} of {len(bugs)} seeded bugs were caught")
    return 1 if missed else 0


def _caught(bug: Bug) -> bool:
    """Whether a test fails with the bug in."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="seeded-") as folder:
        copy = Path(folder)
        copy_tree(copy)
        seed(copy, bug)
        test = next((found for found in (_first_failure(copy, paths) for paths in ((bug.first,), FAST)) if found), "")
    seconds = time.monotonic() - started
    print(ROW.format(bug.name, "yes" if test else "NO", round(seconds), test), flush=True)
    return bool(test)


def copy_tree(copy: Path) -> None:
    """The tracked files, found by Ansible as they are in a checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)
    collections = copy / "build/collections/ansible_collections/diffusion"
    collections.mkdir(parents=True)
    (collections / "fleet").symlink_to(copy)


def seed(copy: Path, bug: Bug) -> None:
    """Put the bug in.

    Raises: StaleBugError.
    """
    file = copy / bug.file
    text = file.read_text(encoding="utf-8")
    if text.count(bug.right) != 1:
        raise StaleBugError(f"{bug.name}: {bug.file} has {text.count(bug.right)} times, not once: {bug.right!r}")
    file.write_text(text.replace(bug.right, bug.wrong), encoding="utf-8")


def _first_failure(copy: Path, paths: tuple[str, ...]) -> str:
    """The first test that fails, or nothing."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=no", "-p", "no:pytest-ansible", *paths]
    environment = {**os.environ, "PYTHONPATH": f"{copy / 'build/collections'}{os.pathsep}{copy}"}
    ran = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode not in (0, 1):
        raise RuntimeError(
            f"pytest could not work (status {ran.returncode}):\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}"
        )
    found = FAILED.search(ran.stdout)
    return found.group(1) if found else ""


if __name__ == "__main__":
    sys.exit(main())
