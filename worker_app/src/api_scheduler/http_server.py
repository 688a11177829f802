# SPDX-License-Identifier: Apache-2.0
"""The worker's own HTTP: is it alive, is it ready, what has it done."""

from __future__ import annotations

import http.server
import json
import typing as t

Answer = tuple[int, str, bytes]
Page = t.Callable[[], Answer]


def json_answer(ok: bool, document: t.Mapping[str, t.Any]) -> Answer:
    """A JSON page: 200 or 503."""
    return (200 if ok else 503), "application/json", json.dumps(document).encode()


def serve(host: str, port: int, pages: t.Mapping[str, Page]) -> http.server.ThreadingHTTPServer:
    """A bound server for these pages; the caller runs ``serve_forever``."""

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            page = pages.get(self.path.split("?", 1)[0])
            status, content_type, body = page() if page else (404, "text/plain", b"not found\n")
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: t.Any) -> None:
            """Probes come every few seconds: they are not logged."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: t.Any, client_address: t.Any) -> None:
            """A probe that hung up is no event: nothing is logged, and nothing goes to stderr."""

    return Server((host, port), Handler)
