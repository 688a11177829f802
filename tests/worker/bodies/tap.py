# SPDX-License-Identifier: Apache-2.0
"""An endpoint between a worker and AWS that notes every call, and what a worker may call at all."""

from __future__ import annotations

import dataclasses
import http.client
import http.server
import json
import re
import threading
import urllib.parse

from api_scheduler.documents.envelope import is_request_id

_SCOPE = re.compile(r"Credential=[^/,]+/\d{8}/[^/,]+/(?P<service>[^/,]+)/")
_HOP = {"connection", "transfer-encoding", "keep-alive"}
_RESULT = re.compile(r"results/([^/]+)/(result\.json|request\.json|\d+\.png)")
_STATE = re.compile(r"state/([^/]+)\.json")
_PROGRESS = re.compile(r"state/progress/([^/]+)\.json")
_FAILED = re.compile(r"state/failed/[^/]+/\d{8}T\d{6}Z/([^/]+)/[0-9a-f]{64}")
_INPUT = re.compile(r"inputs/(?!(.*/)?\.{1,2}(/|$)).+", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Call:
    """One call as it stood on the wire."""

    service: str
    method: str
    path: str
    body: bytes
    copied_from: str = ""

    def __str__(self) -> str:
        return f"{self.service} {self.method} {self.path[:200]} {self.body[:200]!r}"


class Tap:
    """Hands every request on to ``target``; ``calls`` holds them all. A context manager."""

    def __init__(self, target: str) -> None:
        self.calls: list[Call] = []
        self._target = urllib.parse.urlsplit(target).netloc
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Tap:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        tap = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                scope = _SCOPE.search(self.headers.get("Authorization", ""))
                copied = self.headers.get("x-amz-copy-source", "")
                tap.calls.append(Call(scope["service"] if scope else "?", self.command, self.path, body, copied))
                status, headers, answer = tap._pass_on(self.command, self.path, dict(self.headers.items()), body)
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in _HOP | {"content-length"}:
                        self.send_header(name, value)
                length = next((value for name, value in headers if name.lower() == "content-length"), str(len(answer)))
                self.send_header("Content-Length", length if self.command == "HEAD" else str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_PUT = do_POST = do_DELETE = do_HEAD = do_GET

            def log_message(self, *_unused: object) -> None:
                """Say nothing."""

        return Handler

    def _pass_on(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection(self._target, timeout=60)
        try:
            upstream.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                if name.lower() not in _HOP | {"expect"}:
                    upstream.putheader(name, value)
            upstream.endheaders(body)
            reply = upstream.getresponse()
            return reply.status, reply.getheaders(), reply.read()
        finally:
            upstream.close()


class Canary:
    """A web server that nobody should ever ask. A context manager; ``visits`` holds what was asked for."""

    def __init__(self) -> None:
        self.visits: list[str] = []
        visits = self.visits

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                visits.append(self.path)
                self.send_error(404)

            do_POST = do_PUT = do_HEAD = do_GET

            def log_message(self, *_unused: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Canary:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclasses.dataclass(frozen=True)
class Own:
    """What belongs to a deployment."""

    deployment_id: str
    bucket: str
    queues: frozenset[str]
    topic: str

    def allows(self, call: Call) -> bool:
        """Whether a worker of the deployment may make this call."""
        match call.service:
            case "s3":
                return not call.copied_from and self._object(call)
            case "sqs":
                fields = json.loads(call.body)
                name = fields.get("QueueName") or str(fields.get("QueueUrl")).rsplit("/", 1)[-1]
                return name in self.queues
            case "sns":
                return urllib.parse.parse_qs(call.body.decode()).get("TopicArn") == [self.topic]
            case "ssm":
                return str(json.loads(call.body).get("Name")).startswith(f"/sd-inference/{self.deployment_id}/")
            case _:
                return call.service in ("monitoring", "autoscaling")

    def _object(self, call: Call) -> bool:
        bucket, _slash, quoted = urllib.parse.urlsplit(call.path).path.lstrip("/").partition("/")
        key = urllib.parse.unquote(quoted, errors="strict")
        if bucket != self.bucket:
            return False
        if (progress := _PROGRESS.fullmatch(key)) is not None:
            return call.method in ("PUT", "DELETE") and is_request_id(progress[1])
        if call.method not in ("GET", "PUT", "HEAD"):
            return False
        found = next((match for kind in (_RESULT, _STATE, _FAILED) if (match := kind.fullmatch(key))), None)
        if found is not None:
            return is_request_id(found[1])
        return call.method != "PUT" and _INPUT.fullmatch(key) is not None
