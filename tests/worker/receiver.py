# SPDX-License-Identifier: Apache-2.0
"""A receiver of webhooks on this machine, over TLS, that behaves as its path says."""

from __future__ import annotations

import http.server
import ssl
import subprocess
import threading
import typing as t
from pathlib import Path


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost, which is its own authority, and its key."""
    found, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, *names, "-keyout", str(key), "-out", str(found)], check=True, capture_output=True)
    return found, key


class Receiver:
    """``/ok`` takes, ``/500`` fails, ``/redirect`` points elsewhere, ``/hang`` says nothing, ``/drip`` never ends."""

    def __init__(self, folder: Path) -> None:
        self.certificate, key = certificate(folder)
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.closing = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.received.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                kind = self.path.split("?")[0].rsplit("/", 1)[1]
                if kind == "hang":
                    outer.closing.wait(60)
                elif kind == "drip":
                    self._drip()
                else:
                    self.send_response({"ok": 204, "redirect": 302}.get(kind) or int(kind))
                    self.send_header("Location", f"https://localhost:{outer.port}/ok")
                    self.end_headers()

            def do_GET(self) -> None:
                outer.received.append(("GET " + self.path, {}, b""))

            def _drip(self) -> None:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                while not outer.closing.wait(0.05):
                    self.wfile.write(b"X: y\r\n")
                    self.wfile.flush()

            def log_message(self, format: str, *args: t.Any) -> None:
                """Not needed."""

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: t.Any, client_address: t.Any) -> None:
                """The other side goes away when it has waited long enough."""

        self._server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.05), daemon=True)
        self._thread.start()

    @property
    def host(self) -> str:
        """As a deployment lists it."""
        return f"localhost:{self.port}"

    def url(self, path: str) -> str:
        """Where requests ask to be told."""
        return f"https://{self.host}{path}"

    def close(self) -> None:
        """Stop."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
