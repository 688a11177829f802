# SPDX-License-Identifier: GPL-3.0-or-later
"""Fail when a file lacks its SPDX line, or names another licence than its part of the repository has."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import typing as t
from fnmatch import fnmatchcase
from pathlib import Path

COLLECTION = "GPL-3.0-or-later"
PARTS = {"worker_app/": "Apache-2.0", "local_aws/": "Apache-2.0", "tests/worker/": "Apache-2.0"}
HEAD_LINES = 10
SPDX = re.compile(r"SPDX-License-Identifier: (\S+)")


def expected(path: str) -> set[str]:
    """The licences that a file of this path may have."""
    for prefix, licence in PARTS.items():
        if path.startswith(prefix):
            return {licence}
    if path.startswith(("tests/local_aws/", "tests/support/")):
        return {COLLECTION, "Apache-2.0"}
    return {COLLECTION}


def covered(path: str, patterns: t.Iterable[str]) -> bool:
    """Whether REUSE.toml speaks for the file: pictures, weights and generated files cannot carry a line."""
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def problem(path: str) -> str | None:
    """What is wrong with the file's licence, or None."""
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    if not text.strip():
        return None
    found = SPDX.search("\n".join(text.splitlines()[:HEAD_LINES]))
    if found is None:
        return f"{path}: no SPDX-License-Identifier in its first {HEAD_LINES} lines"
    if found[1] not in expected(path):
        return f"{path}: {found[1]}, but this part of the repository is {' or '.join(sorted(expected(path)))}"
    return None


def main() -> int:
    """Print what is wrong; the exit status."""
    reuse = tomllib.loads(Path("REUSE.toml").read_text(encoding="utf-8"))
    patterns = [pattern for annotation in reuse["annotations"] for pattern in annotation["path"]]
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    files = [path for path in listed if Path(path).is_file() and not covered(path, patterns)]
    found = [text for path in files if (text := problem(path))]
    print(*found, sep="\n", end="\n" if found else "")
    print(f"licences: {len(files)} files, {len(found)} without the right SPDX line")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
