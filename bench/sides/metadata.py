# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance metadata service (IMDSv2) for one worker."""

from __future__ import annotations

import http.server
import json
import threading

CREDENTIALS = {
    "Code": "Success",
    "Type": "AWS-HMAC",
    "AccessKeyId": "ASIABENCH",
    "SecretAccessKey": "secret",
    "Token": "session",
    "LastUpdated": "2026-01-01T00:00:00Z",
    "Expiration": "2099-01-01T00:00:00Z",
}
ITEMS = {
    "instance-id": "i-0123456789abcdef0",
    "placement/region": "us-east-1",
    "iam/security-credentials/": "role",
    "iam/security-credentials/role": json.dumps(CREDENTIALS),
}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as an instance's does."""

    def do_PUT(self) -> None:
        self._answer("token")

    def do_GET(self) -> None:
        self._answer(ITEMS.get(self.path.removeprefix("/latest/meta-data/")))

    def _answer(self, text: str | None) -> None:
        self.send_response(200 if text is not None else 404)
        self.send_header("Content-Length", str(len(text or "")))
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def serve() -> str:
    """Its address; it runs until the process ends."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"
