# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside an image: prints what is installed there as one JSON document."""

from __future__ import annotations

import importlib.metadata
import json
import pathlib
import platform


def distribution(found: importlib.metadata.Distribution) -> dict[str, str]:
    """A Python distribution; where its metadata has a whole text for a licence, the first line says enough."""
    licence = found.metadata.get("License-Expression") or found.metadata.get("License") or ""
    return {
        "name": found.metadata["Name"],
        "version": found.version,
        "license": licence.strip().partition("\n")[0][:100],
    }


def packages(status: pathlib.Path) -> list[dict[str, str]]:
    """The installed packages of a Debian."""
    text = status.read_text(encoding="utf-8", errors="replace") if status.exists() else ""
    found = []
    for paragraph in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" installed"):
            found.append(
                {"name": fields["Package"], "version": fields["Version"], "architecture": fields["Architecture"]}
            )
    return found


print(
    json.dumps(
        {
            "os": platform.freedesktop_os_release(),
            "distributions": [distribution(found) for found in importlib.metadata.distributions()],
            "packages": packages(pathlib.Path("/var/lib/dpkg/status")),
        }
    )
)
