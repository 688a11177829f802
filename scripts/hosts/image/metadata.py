# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata service at its usual address: hands every request on to local_aws, where the instance has a path."""

from __future__ import annotations

import http.server
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

ADDRESS = ("169.254.169.254", 80)
UPSTREAM = Path("/etc/cloud/metadata-url")
SECONDS = 5


class Metadata(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Hand it on, with the headers of the protocol."""
        headers = {name: value for name, value in self.headers.items() if name.lower().startswith("x-")}
        url = UPSTREAM.read_text(encoding="utf-8").strip().rstrip("/") + self.path
        request = urllib.request.Request(url, method=self.command, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                self.answer(answer.status, answer.read(), answer.headers)
        except urllib.error.HTTPError as refused:
            self.answer(refused.code, refused.read())
        except OSError as error:
            self.answer(503, str(error).encode())

    do_PUT = do_GET

    def answer(self, status: int, body: bytes, given: t.Mapping[str, str] | None = None) -> None:
        """Reply, with the headers of the protocol: clients want to know for how long a token is good."""
        self.send_response(status)
        for name in (name for name in given or () if name.lower().startswith("x-")):
            self.send_header(name, (given or {})[name])
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_unused: object) -> None:
        """Requests are not logged."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(ADDRESS, Metadata).serve_forever()
