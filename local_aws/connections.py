# SPDX-License-Identifier: Apache-2.0
"""HTTP connections that are kept between requests, as AWS keeps them; werkzeug's own server closes after each reply."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import typing as t

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import ThreadedWSGIServer
from werkzeug.wsgi import get_input_stream

LOG = logging.getLogger(__name__)
_IDLE_SECONDS = 120.0
_PIECE = 1 << 20
_WITHOUT_BODY = frozenset({204, 304})


class KeepingServer(ThreadedWSGIServer):
    """A thread for each connection that is open; none outlives the server."""

    daemon_threads = True

    def __init__(self, app: t.Any, host: str, port: int) -> None:
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(host, port, app, handler=Handler)

    @contextlib.contextmanager
    def holding(self, connection: socket.socket) -> t.Iterator[None]:
        """It is open until the block ends."""
        with self._lock:
            self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)

    def server_close(self) -> None:
        """Take no more connections and cut those that are open: nobody is answered by a server that has stopped."""
        super().server_close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class Handler(MotoRequestHandler):
    """Answers the requests of one connection, one after the other, each reply in as few packets as it needs."""

    server: KeepingServer
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    wbufsize = -1
    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Until either side closes."""
        with self.server.holding(self.connection):
            super().handle()

    def handle_expect_100(self) -> bool:
        """Tell a client that asks to send its body; it waits for that, so the buffer must not."""
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def run_wsgi(self) -> None:
        """Answer one request; then the next one on this connection begins where its body ends."""
        self.environ = environ = self.make_environ()
        body = get_input_stream(environ)
        environ.update({"wsgi.input": body, "wsgi.input_terminated": True})
        reply = _Reply()
        try:
            self._send(reply, self._app(environ, reply))
            while body.read(_PIECE):
                continue
        except ConnectionError as error:
            self.close_connection = True
            self.connection_dropped(error, environ)

    def _app(self, environ: dict[str, t.Any], reply: _Reply) -> t.Iterable[bytes]:
        try:
            return self.server.app(environ, reply.start)
        except ConnectionError:
            raise
        except Exception:  # a fault of ours is an answer, and the server goes on
            LOG.exception("%s %s failed", self.command, self.path)
            reply.start("500 INTERNAL SERVER ERROR", [])
            return []

    def _send(self, reply: _Reply, parts: t.Iterable[bytes]) -> None:
        names = {name.lower() for name, _value in reply.headers}
        bare = self.command == "HEAD" or reply.status in _WITHOUT_BODY
        if "content-length" not in names and not bare:
            parts = [b"".join(parts)]
            reply.headers.append(("Content-Length", str(len(parts[0]))))
        self.send_response(reply.status, reply.reason)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        for part in parts:
            if not bare:
                self.wfile.write(part)
        self.wfile.flush()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Requests are not logged: errors are."""

    def log_error(self, format: str, *args: t.Any) -> None:
        """Nor that a connection was idle for long, the one error that http.server tells of besides a broken request."""
        if not format.startswith("Request timed out"):
            super().log_error(format, *args)


class _Reply:
    """What an application says before its body."""

    def __init__(self) -> None:
        self.status, self.reason = 500, ""
        self.headers: list[tuple[str, str]] = []

    def start(self, status: str, headers: list[tuple[str, str]], _exc_info: t.Any = None) -> t.Callable[[bytes], None]:
        """WSGI's ``start_response``."""
        code, _unused, self.reason = status.partition(" ")
        self.status, self.headers = int(code), list(headers)
        return _write


def _write(_data: bytes) -> None:
    raise NotImplementedError("applications return their body")
