# SPDX-License-Identifier: GPL-3.0-or-later
"""A wire tap: an endpoint that writes down each request of a query API and hands it on."""

from __future__ import annotations

import http.server
import re
import threading
import typing as t
import urllib.error
import urllib.parse
import urllib.request

INDEX = re.compile(r"\.(member|item)\.\d+")


class Recorder:
    """A context manager; ``calls`` holds operations and their parameters as they came, in order."""

    def __init__(self, target: str, before: t.Callable[[], object] = lambda: None) -> None:
        self.calls: list[tuple[str, dict[str, list[str]]]] = []
        self._target = target
        self._before = before
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Recorder:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def sent(self, operation: str) -> list[dict[str, list[str]]]:
        """The parameters of each call of an operation: member paths, ``[]`` for the items of lists, and values."""
        return [fields for name, fields in self.calls if name == operation]

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                recorder._note(body.decode())
                status, answer, kind = recorder._pass_on(dict(self.headers), body)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_unused: object) -> None:
                """Say nothing."""

        return Handler

    def _note(self, body: str) -> None:
        fields: dict[str, list[str]] = {}
        for name, value in urllib.parse.parse_qsl(body, keep_blank_values=True):
            fields.setdefault(INDEX.sub("[]", name), []).append(value)
        operation = fields.pop("Action", [""])[0]
        fields.pop("Version", None)
        self.calls.append((operation, fields))
        self._before()

    def _pass_on(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes, str]:
        request = urllib.request.Request(self._target, body, headers, method="POST")
        try:
            with urllib.request.urlopen(request) as reply:
                return reply.status, reply.read(), reply.headers["Content-Type"]
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read(), refusal.headers["Content-Type"]
