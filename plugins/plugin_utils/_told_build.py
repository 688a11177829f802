# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Runs a builder and writes down how far it is: ``_told_build.py FILE COMMAND…``. Its caller notices nothing."""

from __future__ import annotations

import re
import subprocess
import sys
import typing as t

STEP = re.compile(r"#\d+ (\[(?!internal).+)")
DOWNLOAD = re.compile(r"#\d+ [\d.]+ +Downloading (\S+) \((\d+(?:\.\d+)?) MB\)")
DONE = re.compile(r"#\d+ (DONE ([\d.]+)s|ERROR.*)")
LONG_SECONDS = 1.0
LARGE_MB = 10.0
WIDTH = 110


def told(line: str) -> str:
    """What to show of a line of BuildKit's plain progress; mostly nothing."""
    if step := STEP.match(line):
        return step[1][:WIDTH]
    if (download := DOWNLOAD.match(line)) and float(download[2]) >= LARGE_MB:
        return f"  downloading {download[1].rpartition('/')[2]}, {download[2]} MB"
    if (done := DONE.match(line)) and float(done[2] or LONG_SECONDS) >= LONG_SECONDS:
        return f"  {done[1]}"
    return ""


def main(argv: t.Sequence[str]) -> int:
    """Run the command; its exit status."""
    path, *command = argv
    with (
        open(path, "a", encoding="utf-8") as file,
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as builder,
    ):
        for line in builder.stderr or ():
            sys.stderr.write(line)
            if text := told(line.rstrip("\n")):
                print(text, file=file, flush=True)
    return builder.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
