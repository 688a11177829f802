# SPDX-License-Identifier: Apache-2.0
"""A connection serves one request after the other, whatever became of the one before."""

from __future__ import annotations

import collections.abc
import contextlib
import http.client
import socket
import typing as t

import pytest

from local_aws.harness import Harness

LARGE = b"x" * 3_000_000
SIGNED = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/s3/aws4_request, Signature=0"


@pytest.fixture
def connection() -> collections.abc.Iterator[http.client.HTTPConnection]:
    with Harness() as harness:
        harness.client("s3").create_bucket(Bucket="bucket")
        host, port = harness.endpoint.removeprefix("http://").split(":")
        with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=20)) as client:
            client.connect()
            client.auto_open = 0  # from here on a connection that was closed is an error
            yield client


def ask(client: http.client.HTTPConnection, method: str, path: str, body: t.Any = None, **headers: str) -> bytes:
    chunked = isinstance(body, list)
    sent = {"Authorization": SIGNED, **headers}
    client.request(method, path, iter(body) if chunked else body, sent, encode_chunked=chunked)
    reply = client.getresponse()
    answer = reply.read()
    assert reply.status == (404 if "nowhere" in path else 200), answer
    return answer


def test_many_requests_go_through_one_connection(connection: http.client.HTTPConnection) -> None:
    for number in range(3):
        ask(connection, "PUT", f"/bucket/{number}", b"%d" % number)
    assert [ask(connection, "GET", f"/bucket/{number}") for number in range(3)] == [b"0", b"1", b"2"]


def test_a_body_that_nobody_reads_is_not_taken_for_the_next_request(connection: http.client.HTTPConnection) -> None:
    ask(connection, "POST", "/_local/nowhere", LARGE)
    ask(connection, "PUT", "/nowhere/key", LARGE)
    ask(connection, "PUT", "/bucket/key", b"here")
    assert ask(connection, "GET", "/bucket/key") == b"here"


def test_a_body_in_chunks_ends_where_it_says(connection: http.client.HTTPConnection) -> None:
    ask(connection, "PUT", "/bucket/key", [b"one ", b"two"], **{"Transfer-Encoding": "chunked"})
    assert ask(connection, "GET", "/bucket/key") == b"one two"


def test_a_reply_without_a_body_is_followed_by_the_next(connection: http.client.HTTPConnection) -> None:
    ask(connection, "PUT", "/bucket/key", b"here")
    assert ask(connection, "HEAD", "/bucket/key") == b""
    assert ask(connection, "GET", "/bucket/key") == b"here"


def test_a_client_that_asks_before_it_sends_is_told_to(connection: http.client.HTTPConnection) -> None:
    connection.putrequest("PUT", "/bucket/key")
    for name, value in {"Authorization": SIGNED, "Expect": "100-continue", "Content-Length": "4"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    told, then = b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 "
    assert sock(connection).recv(len(told), socket.MSG_WAITALL) == told
    connection.send(b"here")
    assert sock(connection).recv(len(then), socket.MSG_PEEK | socket.MSG_WAITALL) == then
    assert connection.getresponse().read() == b""
    assert ask(connection, "GET", "/bucket/key") == b"here"


def test_nobody_is_answered_by_a_server_that_has_stopped() -> None:
    with Harness() as harness:
        host, port = harness.endpoint.removeprefix("http://").split(":")
        client = http.client.HTTPConnection(host, int(port), timeout=20)
        client.connect()
        ask(client, "GET", "/_local/nowhere")
    with contextlib.closing(client):
        assert sock(client).recv(1) == b""


def sock(client: http.client.HTTPConnection) -> socket.socket:
    assert client.sock is not None
    return client.sock
