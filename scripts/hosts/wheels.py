# SPDX-License-Identifier: GPL-3.0-or-later
"""Wheels of this machine for a build in a container: PyPI has no wheel of torch without CUDA."""

from __future__ import annotations

import contextlib
import tempfile
import typing as t
from pathlib import Path

from .serving import served


@contextlib.contextmanager
def pip_configuration(folder: str, gateway: str) -> t.Iterator[str]:
    """A file with pip's configuration by which a build finds the wheels of that folder; empty without a folder."""
    if not folder:
        yield ""
        return
    with served(folder, gateway) as address, tempfile.TemporaryDirectory() as place:
        conf = Path(place) / "pip.conf"
        conf.write_text(f"[global]\nfind-links = {address}/\ntrusted-host = {gateway}\n", encoding="utf-8")
        yield str(conf)
