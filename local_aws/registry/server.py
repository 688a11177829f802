# SPDX-License-Identifier: Apache-2.0
"""The registry's own TLS server on the loopback interface."""

from __future__ import annotations

import threading
import typing as t
from pathlib import Path

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from local_aws.front import Front
from local_aws.registry import tls
from local_aws.registry.context import API_HOST, HOST
from local_aws.registry.routes import Registry

if t.TYPE_CHECKING:
    from local_aws.world import World


class Doors:
    """The WSGI application: the registry, and under the name of ECR's API that API.

    Docker's credential helper asks the API under its own name over TLS, wherever ``AWS_ENDPOINT_URL`` points.
    """

    def __init__(self, world: World, stopping: threading.Event) -> None:
        self._registry = Registry(world, stopping)
        self._api = Front(world, stopping)

    def __call__(self, environ: dict[str, t.Any], start_response: t.Any) -> t.Iterable[bytes]:
        """Answer one request."""
        host = str(environ.get("HTTP_HOST", "")).partition(":")[0]
        return (self._api if host == API_HOST else self._registry)(environ, start_response)


class RegistryServer:
    """Serves one world's registry; use it as a context manager or stop it."""

    def __init__(self, world: World, folder: Path, port: int = 0, host: str = "127.0.0.1") -> None:
        self.stopping = threading.Event()
        self.ca_file = folder / tls.CA_FILE
        self.name = HOST
        self._http = _make(Doors(world, self.stopping), host, port, folder)
        self.port = int(self._http.server_port)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), name="registry", daemon=True)

    def start(self) -> RegistryServer:
        """Serve in a thread."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the socket."""
        self.stopping.set()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join(timeout=5)
        self._http.server_close()

    def __enter__(self) -> RegistryServer:
        return self.start()

    def __exit__(self, *_unused: object) -> None:
        self.stop()


def _make(app: Doors, host: str, port: int, folder: Path) -> BaseWSGIServer:
    class Handler(WSGIRequestHandler):
        """HTTP/1.1, because engines send layers in chunks of HTTP."""

        protocol_version = "HTTP/1.1"
        timeout = 300
        disable_nagle_algorithm = True

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Requests are not logged: errors are."""

    server = make_server(host, port, app, threaded=True, request_handler=Handler)
    context = tls.context(folder, HOST, API_HOST)
    # The handshake happens in the connection's own thread: a client that never speaks keeps nobody waiting.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.ssl_context = context
    setattr(server, "daemon_threads", True)
    return server
