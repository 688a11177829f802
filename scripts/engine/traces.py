# SPDX-License-Identifier: GPL-3.0-or-later
"""What engines and hosts could leave on a machine: looked at before and after, and compared.

    traces.py look FILE       write down what is there
    traces.py compare FILE    what is there that was not when FILE was written, and does not go within 20 s; ends with 1
                              where there is something

It sees the whole machine: whoever starts an engine in between is seen too. A process counts that is part of an engine,
lives in another network, mount or process namespace than this program, or has the same FLEET_RUN in its environment.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import typing as t
from pathlib import Path

PROC = Path("/proc")
RUN = "FLEET_RUN"
NAMESPACES = ("net", "mnt", "pid")
PROGRAMS = ("dockerd", "containerd", "slirp4netns", "docker-proxy")
TABLES = ("filter", "nat", "mangle", "raw")
PATIENCE_SECONDS = 20  # the end of a process tells others to end
PATIENCE = "FLEET_PATIENCE_SECONDS"
FORWARDING = Path("net/ipv4/ip_forward")


def look() -> set[str]:
    """Everything that could be left, one line each."""
    return {*namespaces(), *mounts(), *devices(), *loops(), *rules(), *forwarding(), *groups(), *processes(), *kept()}


def namespaces() -> t.Iterator[str]:
    """Those that have a name."""
    folder = Path("/run/netns")
    yield from (f"network namespace {path.name}" for path in (folder.iterdir() if folder.is_dir() else ()))


def mounts() -> t.Iterator[str]:
    """What is mounted where."""
    for line in (PROC / "self" / "mounts").read_text(encoding="utf-8").splitlines():
        source, target, kind = line.split()[:3]
        yield f"mount {target} ({kind} {source})"


def devices() -> t.Iterator[str]:
    """Network devices."""
    yield from (f"network device {name}" for _unused, name in socket.if_nameindex())


def loops() -> t.Iterator[str]:
    """Files that stand for disks."""
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        yield f"loop device {path.parts[3]} of {path.read_text(encoding='utf-8').strip()}"


def rules() -> t.Iterator[str]:
    """The firewall, but for policies that let everything through."""
    for program in ("iptables", "ip6tables"):
        for table in TABLES:
            for line in said(program, "-w", "-t", table, "-S"):
                if not line.endswith(" ACCEPT") or not line.startswith("-P "):
                    yield f"{program} -t {table} {line}"


def forwarding() -> t.Iterator[str]:
    """Whether the machine has become a router."""
    yield f"ip_forward={(PROC / 'sys' / FORWARDING).read_text(encoding='utf-8').strip()}"


def groups() -> t.Iterator[str]:
    """Control groups of engines, and of what runs in them."""
    for path in Path("/sys/fs/cgroup").glob("**/"):
        if path.name.startswith(("fleet-", "docker")):
            yield f"control group {path}"


def kept() -> t.Iterator[str]:
    """Files that an engine or its packages would leave outside of the checkout."""
    for path in (
        Path("/usr/sbin/policy-rc.d"),
        *Path("/etc/docker").glob("**/*"),
        *Path("/run").glob("fleet-engine/*"),
    ):
        if path.exists():
            yield f"file {path}"


def processes() -> t.Iterator[str]:
    """Those that belong to an engine, a container, or this run."""
    waiting = ancestors()
    for folder in PROC.glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            counts = words and int(folder.name) not in waiting and belongs(folder)
            started = stat(folder)[19]
        except OSError:
            continue  # it has ended meanwhile
        if counts:
            yield f"process {folder.name} of tick {started}: {words}"


def belongs(folder: Path) -> bool:
    """Whether a process is an engine's, lives in a container, or was started by this run."""
    run = f"{RUN}={os.environ[RUN]}".encode() if os.environ.get(RUN) else None
    return (
        (folder / "comm").read_text(encoding="utf-8").strip() in PROGRAMS
        or spaces(folder) != spaces(PROC / "self")
        or run in (folder / "environ").read_bytes().split(b"\0")
    )


def stat(folder: Path) -> list[str]:
    """What the kernel says of a process, from its state on."""
    return (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def spaces(folder: Path) -> list[str]:
    """The namespaces of a process."""
    return [os.readlink(folder / "ns" / name) for name in NAMESPACES]


def ancestors() -> set[int]:
    """This process, and those that wait for its end."""
    found, pid = set(), os.getpid()
    while pid > 0:
        found.add(pid)
        pid = int(stat(PROC / str(pid))[1])
    return found


def said(*command: str) -> list[str]:
    """The lines of a command; none where it is not installed, or has nothing to list."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    except FileNotFoundError:
        return []


def left(before: t.Collection[str]) -> list[str]:
    """What was not there before, and does not go."""
    end = time.monotonic() + float(os.environ.get(PATIENCE, PATIENCE_SECONDS))
    while True:
        found = sorted(look().difference(before))
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.5)  # processes that end are not its children: there is nothing to wait on


def main(arguments: t.Sequence[str]) -> int:
    """Write, or compare; the exit status."""
    if len(arguments) != 2 or arguments[0] not in ("look", "compare"):
        print(__doc__, file=sys.stderr)
        return 2
    file = Path(arguments[1])
    if arguments[0] == "look":
        file.write_text(json.dumps(sorted(look()), indent=1), encoding="utf-8")
        return 0
    found = left(json.loads(file.read_text(encoding="utf-8")))
    print(*(f"left on the machine: {line}" for line in found), sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
