# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of this machine for machines and builds in containers."""

from __future__ import annotations

import contextlib
import functools
import http.server
import threading
import typing as t
from pathlib import Path


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_unused: object) -> None:
        """Requests are not logged."""


@contextlib.contextmanager
def served(folder: str | Path, gateway: str) -> t.Iterator[str]:
    """The address of that folder while the block lasts; ``gateway`` is this machine's 127.0.0.1 to containers."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://{gateway}:{server.server_port}"
        finally:
            server.shutdown()
