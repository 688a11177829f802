# SPDX-License-Identifier: Apache-2.0
"""boto3 without HTTP: a client whose requests are answered by the application in the same thread.

Requests are serialised and parsed as ever; socket and server thread are left out, and the signature, which nobody would
check: what it says of the service stands in its place. A process that works this way has a single thread and can be
forked in the middle of a call.

A client takes as long to make as a dozen calls of it, so all worlds of a process share one a service: it is answered by
the newest of them, the one whose state moto holds.
"""

from __future__ import annotations

import functools
import io
import typing as t
from urllib.parse import unquote, urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError

from local_aws.clients import make_client
from local_aws.store import REGION

ENDPOINT = "http://127.0.0.1:80"
"""What the requests name; nothing listens there."""
App = t.Callable[[dict[str, t.Any], t.Any], t.Iterable[bytes]]
Send = t.Callable[[], AWSResponse]


class _Body(io.BytesIO):
    """A reply's body, as urllib3 offers it."""

    def stream(self, *_unused: t.Any, **_ignored: t.Any) -> t.Iterator[bytes]:
        yield self.read()


class Direct:
    """The transport: an answer for ``before-send`` of botocore."""

    def __init__(self, app: App, endpoint: str) -> None:
        """From now on it answers the clients of this process; its answers name that endpoint, as links do."""
        self._app, self._host = app, urlsplit(endpoint).netloc
        _answering[:] = [self]
        self.through: t.Callable[[str, AWSPreparedRequest, Send], AWSResponse] | None = None
        """Stands between client and application where it is set: it sends, or does not, or sends twice."""

    def answer(self, request: AWSPreparedRequest, event_name: str) -> AWSResponse:
        """Answer one request."""
        if self.through is None:
            return self._send(request)
        return self.through(event_name.removeprefix("before-send."), request, lambda: self._send(request))

    def _send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Ask the application.

        Raises: ConnectionClosedError where it hangs up.
        """
        head: list[t.Any] = []
        try:
            environ = _environ(request, self._host)
            answer = self._app(environ, lambda status, headers, *_more: head.extend((status, headers)))
        except ConnectionError as error:
            raise ConnectionClosedError(endpoint_url=request.url, error=error, request=request) from error
        body = _Body(b"".join(answer))
        headers = {name.lower(): value for name, value in head[1]}
        return AWSResponse(request.url, int(head[0].split(" ", 1)[0]), headers, body)


_answering: list[Direct] = []


@functools.cache
def direct_client(service: str) -> t.Any:
    """The boto3 client of that service in this process; nothing is sent again, in real time."""
    made = make_client(service, ENDPOINT, attempts=1, signed=False)
    scope = f"local/20260101/{REGION}/{made.meta.service_model.signing_name}/aws4_request"

    def answer(request: AWSPreparedRequest, event_name: str, **_unused: t.Any) -> AWSResponse:
        request.headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"
        return _answering[-1].answer(request, event_name)

    made.meta.events.register("before-send", answer)
    return made


def _environ(request: AWSPreparedRequest, host: str) -> dict[str, t.Any]:
    """The WSGI environment of a request."""
    url, body = urlsplit(request.url), _read(request.body)
    environ: dict[str, t.Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(url.path) or "/",
        "RAW_URI": f"{url.path}?{url.query}" if url.query else url.path,
        "REQUEST_URI": f"{url.path}?{url.query}" if url.query else url.path,
        "QUERY_STRING": url.query,
        "SERVER_NAME": url.hostname,
        "SERVER_PORT": str(url.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "HTTP_HOST": host,
    }
    for name, value in request.headers.items():
        text = value.decode() if isinstance(value, bytes) else str(value)
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = text
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
    environ["CONTENT_LENGTH"] = str(len(body))
    return environ


def _read(body: t.Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    body.seek(0)  # it may be sent a second time
    return bytes(body.read())
