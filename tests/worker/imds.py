# SPDX-License-Identifier: Apache-2.0
"""A tiny instance metadata service (IMDSv2 only), so that the worker starts as it does on an instance."""

from __future__ import annotations

import http.server
import json
import threading

_TOKEN = "token"
_CREDENTIALS = json.dumps(
    {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIATEST",
        "SecretAccessKey": "secret-of-the-role",
        "Token": "session-of-the-role",
        "LastUpdated": "2026-01-01T00:00:00Z",
        "Expiration": "2099-01-01T00:00:00Z",
    }
)


class Imds:
    """Serves ``items`` (path below meta-data to text); change them while it runs."""

    def __init__(self, instance_id: str) -> None:
        self.items = {
            "instance-id": instance_id,
            "placement/region": "us-east-1",
            "iam/security-credentials/": "role",
            "iam/security-credentials/role": _CREDENTIALS,
        }
        items = self.items

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                self._answer(200, _TOKEN)

            def do_GET(self) -> None:
                if self.headers.get("X-aws-ec2-metadata-token") != _TOKEN:
                    self._answer(401, "")
                    return
                text = items.get(self.path.removeprefix("/latest/meta-data/"))
                self._answer(200 if text is not None else 404, text or "")

            def _answer(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
