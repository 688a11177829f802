# SPDX-License-Identifier: GPL-3.0-or-later
"""Wheels of this machine for a build in a container: PyPI has no wheel of torch without CUDA."""

from __future__ import annotations

import contextlib
import functools
import http.server
import tempfile
import threading
import typing as t
from pathlib import Path


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_unused: object) -> None:
        """Requests are not logged."""


@contextlib.contextmanager
def served(folder: str, gateway: str) -> t.Iterator[str]:
    """A file with pip's configuration by which a build finds the wheels of that folder; empty without a folder.

    ``gateway`` is this machine's 127.0.0.1 to containers.
    """
    if not folder:
        yield ""
        return
    handler = functools.partial(_Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, tempfile.TemporaryDirectory() as place:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        conf = Path(place) / "pip.conf"
        conf.write_text(
            f"[global]\nfind-links = http://{gateway}:{server.server_port}/\ntrusted-host = {gateway}\n",
            encoding="utf-8",
        )
        yield str(conf)
        server.shutdown()
