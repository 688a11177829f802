# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python the environments are made with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = "scripts/environment.sh"


class Checkout:
    """A folder with nothing but the script, and Pythons that note what they are asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "scripts").mkdir()
        shutil.copy(ROOT / SCRIPT, root / SCRIPT)

    def python(self, name: str, *, supported: bool = True, venv: bool = True) -> Path:
        """One of a supported version or not, with the module that makes environments or without; it makes none."""
        path = self.root / name
        path.write_text(
            f'#!/bin/sh\ncase "$*" in\n'
            f"  *ensurepip*) exit {int(not venv)} ;;\n"
            f"  *version_info*) exit {int(not supported)} ;;\n"
            f'  "-m venv"*) echo {name} >>made; exit 9 ;;\n'
            f"esac\n"
        )
        path.chmod(0o755)
        return path

    def make(self, *pythons: Path | str) -> subprocess.CompletedProcess[str]:
        """Ask for the controller's environment with these to choose from."""
        environment = {"PATH": "/usr/bin:/bin", "PYTHON": " ".join(map(str, pythons)), "MIN_FREE_GB": "0"}
        command = [SCRIPT, "controller"]
        return subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)

    @property
    def made(self) -> list[str]:
        """Those that were to make an environment."""
        file = self.root / "made"
        return file.read_text().split() if file.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_the_first_that_can_make_environments_is_taken(checkout: Checkout) -> None:
    bare, old = checkout.python("bare", venv=False), checkout.python("old", supported=False)
    checkout.make(bare, old, checkout.python("whole"), checkout.python("later"))
    assert checkout.made == ["whole"]


def test_where_there_is_none_it_is_said_what_was_looked_for(checkout: Checkout) -> None:
    ended = checkout.make(checkout.python("old", supported=False), "/no/python")
    assert ended.returncode == 1
    assert f"looked for: {checkout.root}/old /no/python" in ended.stderr
    assert "make PYTHON=" in ended.stderr
    assert not checkout.made
