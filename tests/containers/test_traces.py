# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/engine/traces.py: each thing that could be left on a machine is seen, and nothing is where nothing was left.

As root, in namespaces of its own: what is left there is not left on the machine, and what others do is not seen.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TRACES = Path(__file__).resolve().parents[2] / "scripts" / "engine" / "traces.py"
SCRIPT = """
set -e
mkdir -p /run/netns /etc/docker
for folder in /run/netns /etc/docker /sys/fs/cgroup; do mount -t tmpfs none $folder; done
{python} {traces} look {file}
{leave}
{python} {traces} compare {file}
"""


def compared(folder: Path, leave: str) -> subprocess.CompletedProcess[str]:
    """Leave something, and compare."""
    text = SCRIPT.format(python=sys.executable, traces=TRACES, file=folder / "before", leave=leave)
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "bash", "-c", text]
    settings = {**os.environ, "FLEET_RUN": str(folder), "FLEET_PATIENCE_SECONDS": "0"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=settings)


def test_nothing_is_left_where_nothing_was(tmp_path: Path) -> None:
    done = compared(tmp_path, "true")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("leave", "line"),
    [
        ("ip netns add some", "network namespace some"),
        ("mount -t tmpfs none /mnt", "mount /mnt (tmpfs none)"),
        ("ip link add some type bridge", "network device some"),
        ("iptables -t nat -A POSTROUTING -j MASQUERADE", "iptables -t nat -A POSTROUTING -j MASQUERADE"),
        ("iptables -P FORWARD DROP", "iptables -t filter -P FORWARD DROP"),
        ("ip6tables -N SOME", "ip6tables -t filter -N SOME"),
        ("echo 1 >/proc/sys/net/ipv4/ip_forward", "ip_forward=1"),
        ("touch /etc/docker/some", "file /etc/docker/some"),
        ("mkdir -p /sys/fs/cgroup/cpu/fleet-some", "control group /sys/fs/cgroup/cpu/fleet-some"),
        ("sleep 71 & disown", ": sleep 71"),
        ("env --unset FLEET_RUN unshare --net sleep 72 & sleep 0.3", ": sleep 72"),
        ("cp /bin/sleep {folder}/dockerd; env -i {folder}/dockerd 73 & sleep 0.3", "/dockerd 73"),
    ],
)
def test_what_is_left_is_named(tmp_path: Path, leave: str, line: str) -> None:
    done = compared(tmp_path, leave.format(folder=tmp_path))
    assert done.returncode == 1 and line in done.stderr, done.stderr


def test_a_file_that_stands_for_a_disk_is_named(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(2**20))
    done = compared(tmp_path, f"losetup --find --show {disk} >{tmp_path}/device")
    subprocess.run(["losetup", "--detach", (tmp_path / "device").read_text().strip()], check=True)
    assert done.returncode == 1 and f" of {disk}" in done.stderr, done.stderr


def test_what_ends_by_itself_is_waited_for(tmp_path: Path) -> None:
    done = compared(tmp_path, "export FLEET_PATIENCE_SECONDS=20; sleep 1 & disown")
    assert (done.returncode, done.stderr) == (0, "")
