# SPDX-License-Identifier: GPL-3.0-or-later
"""A module process whose playbook is gone stops, as if it had been killed with it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import pathlib

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._release.follower import Follower
from ansible_collections.diffusion.fleet.plugins.module_utils._release.module import run_release
from tests.support.fleet import Fleet


@dataclasses.dataclass
class Ending:
    """A clock on which the file goes once the refresh has started."""

    fleet: Fleet
    path: pathlib.Path

    def now(self) -> dt.datetime:
        """Virtual time."""
        return self.fleet.now()

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.fleet.sleep(seconds)
        if self.fleet.ledger.refresh_id is not None:
            self.path.unlink(missing_ok=True)


def test_a_run_whose_file_has_gone_stops_and_the_next_one_goes_on(fleet: Fleet, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "lines"
    path.touch()
    params = fleet.params(version="1.1.0", percentage="100", hold=86400.0, progress=str(path))
    with pytest.raises(FleetError, match="the run stops here and leaves the release as it is"):
        run_release(fleet, params, check_mode=False, clock=Ending(fleet, path))
    assert (fleet.ledger.is_open, len(fleet.locks()), path.exists()) == (True, 1, False)
    assert fleet.release(version="1.1.0")["outcome"] == "succeeded"


def test_a_file_that_could_never_be_written_stops_nothing(fleet: Fleet, tmp_path: pathlib.Path) -> None:
    result = fleet.release(version="1.1.0", percentage="100", progress=str(tmp_path / "missing" / "lines"))
    assert result["outcome"] == "succeeded"


def test_a_process_whose_parent_has_ended_stops(tmp_path: pathlib.Path) -> None:
    said, ready = os.pipe(), os.pipe()
    parent = os.fork()
    if parent == 0:
        if os.fork() == 0:
            _orphan(str(tmp_path / "lines"), ready[1], said[1])
        os.read(ready[0], 1)
        os._exit(0)
    os.close(said[1])
    os.waitpid(parent, 0)
    assert os.read(said[0], 10) == b"stopped"


def _orphan(path: str, ready: int, said: int) -> None:
    """With a parent there is nothing to say; without one the check ends it."""
    follower, parent = Follower(path), os.getppid()
    follower.check()
    os.write(ready, b".")
    while os.getppid() == parent:
        os.sched_yield()
    try:
        follower.check()
    except FleetError:
        os.write(said, b"stopped")
    os._exit(0)
