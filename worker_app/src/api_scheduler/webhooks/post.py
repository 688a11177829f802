# SPDX-License-Identifier: Apache-2.0
"""One POST to a checked address: TLS, no redirects, no proxy, over in a bounded time whatever the receiver does."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import typing as t

from api_scheduler.webhooks.addresses import Hosts, NotAllowed, Target

PostFailure = (OSError, http.client.HTTPException, NotAllowed)
"""What a POST may raise."""


class Poster:
    """Sends to hosts that are allowed."""

    def __init__(self, hosts: Hosts, ca_file: str, seconds: float) -> None:
        self._hosts = hosts
        self._context = ssl.create_default_context(cafile=ca_file or None)
        self._seconds = seconds

    def __call__(self, target: Target, body: bytes, headers: t.Mapping[str, str]) -> int:
        """The status of the answer. Raises one of PostFailure."""
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(row[4][0]) for row in found))
        self._hosts.check(target, addresses)
        # The address that was checked is the one that is used: the name may mean another one a moment later.
        connection = _Connection(target, addresses[0], self._context, self._seconds)
        # A timeout bounds each single read; a receiver that sends a byte now and then would go on for ever.
        end = threading.Timer(self._seconds, connection.abort)
        end.daemon = True
        end.start()
        try:
            connection.request("POST", target.path, body, {"Content-Type": "application/json", **headers})
            status = connection.getresponse().status
            if connection.aborted.is_set():  # what was cut off may look like an answer
                raise TimeoutError("no whole answer in time")
            return status
        finally:
            end.cancel()
            connection.close()


class _Connection(http.client.HTTPSConnection):
    """To a name at a given address."""

    def __init__(self, target: Target, address: str, context: ssl.SSLContext, seconds: float) -> None:
        super().__init__(target.host, target.port, timeout=seconds, context=context)
        self._address = address
        self._tls = context
        self.aborted = threading.Event()

    def connect(self) -> None:
        """Connect and prove who is there."""
        plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host, do_handshake_on_connect=False)
        if self.aborted.is_set():
            raise TimeoutError("no connection in time")
        self.sock.do_handshake()

    def abort(self) -> None:
        """End it, from another thread."""
        self.aborted.set()
        with contextlib.suppress(OSError, AttributeError):
            self.sock.shutdown(socket.SHUT_RDWR)
