# SPDX-License-Identifier: GPL-3.0-or-later
"""Five versions of the worker that must never become stable, each one slip away from the real one.

Each is the worker of this checkout with one line changed, as a developer would change it; all of them pass a build and
are pushed like any other version. They are made for the ``noop`` engine, so that a fleet of them costs nothing.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from scripts.rehearsal.sources import Edit, copy_source, version_edit

WORKER = Path(__file__).resolve().parents[1] / "worker_app"
ENGINE = "engines/noop.py"


@dataclasses.dataclass(frozen=True)
class BadBuild:
    """One bad version."""

    key: str
    name: str
    slip: str
    """What somebody did wrong."""
    edit: Edit
    limit: float = 90.0
    """Seconds from the start of the playbook by which it is back to stable."""


DIES_AT_BOOT = BadBuild(
    "boot",
    "dies at boot",
    "a module is imported that nobody added to the requirements",
    Edit("__main__.py", "from api_scheduler import app\n", "import xformers_fast\n\nfrom api_scheduler import app\n"),
)
NEVER_READY = BadBuild(
    "ready",
    "never ready",
    "loading the weights waits for a lock that nobody ever gives back",
    Edit(ENGINE, '        """Nothing to load."""\n', '        """Wait for them."""\n        self._never.wait()\n'),
)
FAILS_JOBS = BadBuild(
    "fails",
    "fails 30 % of jobs",
    "three jobs of ten touch memory that has been given back",
    Edit(
        ENGINE,
        "        self._in_work[key] = _InWork(",
        "        self._drawn = getattr(self, '_drawn', 0) + 1\n"
        "        if self._drawn % 10 in (2, 5, 8):\n"
        "            raise RuntimeError('CUDA error: an illegal memory access was encountered')\n"
        "        self._in_work[key] = _InWork(",
    ),
)
TWICE_AS_SLOW = BadBuild(
    "slow",
    "twice as slow",
    "every step is computed in full precision",
    Edit(ENGINE, "self._job_ms = job_ms\n", "self._job_ms = 2 * job_ms\n"),
)
HANGS = BadBuild(
    "hangs",
    "hangs in the middle of jobs",
    "half-way through its steps a job waits for an event that was never recorded",
    Edit(
        ENGINE,
        "            one.left -= 1\n",
        "            one.left -= 1\n"
        "            if one.left == one.job.all_steps // 2:\n"
        "                self._never.wait()\n",
    ),
)
FREEZES = BadBuild(
    "freezes",
    "freezes in the middle of jobs",
    "a library keeps the interpreter to itself: nothing in the process runs any more, its own watchdog neither",
    Edit(
        ENGINE,
        "            one.left -= 1\n",
        "            one.left -= 1\n"
        "            if one.left == one.job.all_steps // 2:\n"
        "                __import__('os').kill(__import__('os').getpid(), 19)\n",
    ),
    limit=180.0,  # its instances are let go when the health timer has given their workers up
)
ALL = (DIES_AT_BOOT, NEVER_READY, FAILS_JOBS, TWICE_AS_SLOW, HANGS)
MORE = (FREEZES,)
"""Tried when they are named."""


def write_source(build: BadBuild, target: Path, version: str) -> Path:
    """Write the source of a bad build; its folder.

    Raises: SourceChanged when the worker no longer holds the changed line.
    """
    copy_source(WORKER, target, [version_edit(_version(), version), build.edit])
    return target


def _version() -> str:
    text = (WORKER / "src" / "api_scheduler" / "__init__.py").read_text(encoding="utf-8")
    return text.split('__version__ = "')[1].split('"')[0]
