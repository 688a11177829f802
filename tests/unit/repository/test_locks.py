# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock files of the worker's image say what the requirements say, for every library, with hashes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

WORKER = Path(__file__).parents[3] / "worker_app"
LOCKS = {"cuda", "cpu", "noop"}
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path: Path) -> dict[str, str]:
    """The versions by the libraries' names; a local version (+cpu) is the same release."""
    found = (PIN.match(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {canonical(match[1]): match[2].partition("+")[0] for match in found if match}


WANTED = pins(WORKER / "requirements.txt") | pins(WORKER / "requirements-torch.txt")


@pytest.fixture(params=sorted(LOCKS))
def lock(request: pytest.FixtureRequest) -> Path:
    return WORKER / "locks" / f"{request.param}.txt"


def test_there_are_these_locks() -> None:
    assert {path.stem for path in (WORKER / "locks").iterdir()} == LOCKS


def test_a_lock_has_the_versions_of_the_requirements(lock: Path) -> None:
    locked = pins(lock)
    wrong = {
        name: (locked[name], WANTED[name]) for name in WANTED.keys() & locked.keys() if locked[name] != WANTED[name]
    }
    assert not wrong, "run 'make locks'"


@pytest.mark.parametrize("name", ["cuda", "cpu"])
def test_a_whole_lock_has_every_requirement(name: str) -> None:
    assert not WANTED.keys() - pins(WORKER / "locks" / f"{name}.txt").keys(), "run 'make locks'"


def test_the_noop_lock_has_what_the_noop_engine_imports_and_no_torch() -> None:
    lines = (WORKER / "requirements-noop.txt").read_text(encoding="utf-8").splitlines()
    named = {canonical(line) for line in lines if line and not line.startswith("#")}
    locked = pins(WORKER / "locks" / "noop.txt").keys()
    assert named <= WANTED.keys() and named <= locked
    assert not locked & {"torch", "diffusers", "transformers"}


def test_every_library_is_pinned_with_hashes(lock: Path) -> None:
    entries = lock.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    loose = [line for line in entries if line.strip() and line.lstrip()[0] != "#" and "--hash=sha256:" not in line]
    assert not loose and pins(lock)


def test_libraries_in_several_locks_have_one_version() -> None:
    found = [pins(WORKER / "locks" / f"{name}.txt") for name in sorted(LOCKS)]
    for ours in found:
        for theirs in found:
            assert all(ours[name] == theirs[name] for name in ours.keys() & theirs.keys())
