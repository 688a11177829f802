# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rehearsal tells local_aws that AWS has no call for."""

from __future__ import annotations

import json
import typing as t
import urllib.request

_SECONDS = 60


def post(endpoint: str, path: str, document: t.Any = None) -> None:
    """Ask for something under ``/_local/``."""
    body = b"" if document is None else json.dumps(document).encode()
    request = urllib.request.Request(f"{endpoint}/_local/{path}", body, method="POST")
    urllib.request.urlopen(request, timeout=_SECONDS).close()


def set_faults(endpoint: str, *faults: t.Mapping[str, t.Any]) -> None:
    """Let AWS misbehave like this, in place of how it did before; without any, everything works again."""
    post(endpoint, "faults", faults)
