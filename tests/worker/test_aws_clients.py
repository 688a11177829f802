# SPDX-License-Identifier: Apache-2.0
"""What the worker's clients put on the wire."""

from __future__ import annotations

import collections.abc
import http.server
import threading

import pytest

from api_scheduler.aws import connect
from tests.worker.imds import Imds

Sent = tuple[str, dict[str, str], bytes]


@pytest.fixture
def imds() -> collections.abc.Iterator[Imds]:
    service = Imds("i-0123456789abcdef0")
    yield service
    service.close()


class Bucket:
    """Takes whatever it is sent. A context manager; ``sent`` holds it as it came."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        sent = self.sent

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                sent.append((self.path, headers, self.rfile.read(int(headers["content-length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Bucket:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_a_picture_is_sent_without_asking_whether_it_will_be_taken(imds: Imds) -> None:
    with Bucket() as bucket:
        s3 = connect("us-east-1", imds.url, bucket.url).s3
        s3.put_object(Bucket="bucket", Key="0.png", Body=b"picture", IfNoneMatch="*")
    [(path, headers, body)] = bucket.sent
    assert (path, body, headers["if-none-match"]) == ("/bucket/0.png", b"picture", "*")
    assert "expect" not in headers and "Credential=ASIATEST/" in headers["authorization"]
