# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of a build, and that its caller notices nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.diffusion.fleet.plugins.plugin_utils import _told_build


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("#5 [libraries 2/3] COPY locks/cpu.txt /build/lock.txt", "[libraries 2/3] COPY locks/cpu.txt /build/lock.txt"),
        ("#1 [internal] load build definition from Dockerfile", ""),
        ("#7 12.34   Downloading https://host/torch-2.13.0.whl (192.5 MB)", "  downloading torch-2.13.0.whl, 192.5 MB"),
        ("#7 12.34   Downloading six-1.17.0-py2.py3-none-any.whl (11 kB)", ""),
        ("#7 1.01 Collecting boto3==1.44.5", ""),
        ("#7 DONE 14.2s", "  DONE 14.2s"),
        ("#6 DONE 0.0s", ""),
        ("#6 CACHED", ""),
        ("#7 ERROR: executor failed running", "  ERROR: executor failed running"),
    ],
)
def test_steps_long_ones_and_large_downloads_are_shown(line: str, shown: str) -> None:
    assert _told_build.told(line) == shown


def test_a_step_is_cut() -> None:
    assert len(_told_build.told("#5 [a 1/1] " + "x" * 500)) == _told_build.WIDTH


def test_a_step_is_told_while_the_build_goes_on(tmp_path: Path) -> None:
    seen = f"until grep -q COPY {tmp_path}/lines; do sleep 0.1; done"
    builder = f'echo "#5 [code 1/2] COPY src" >&2; exec timeout 20 sh -c "{seen}"'
    command = [sys.executable, _told_build.__file__, str(tmp_path / "lines"), "sh", "-c", builder]
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0


def test_output_errors_and_status_pass_through(tmp_path: Path) -> None:
    builder = 'echo image; echo "#5 [code 1/2] COPY src" >&2; echo other >&2; exit 3'
    command = [sys.executable, _told_build.__file__, str(tmp_path / "lines"), "sh", "-c", builder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (3, "image\n", "#5 [code 1/2] COPY src\nother\n")
    assert (tmp_path / "lines").read_text() == "[code 1/2] COPY src\n"
