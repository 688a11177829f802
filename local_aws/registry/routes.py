# SPDX-License-Identifier: Apache-2.0
"""The paths of the distribution API, who may ask, and the faults in force."""

from __future__ import annotations

import functools
import logging
import re
import threading
import time
import typing as t

from werkzeug.wrappers import Request, Response

from local_aws import store
from local_aws.faults import CALL_KINDS, Fault
from local_aws.front import hang_up
from local_aws.registry import blobs, manifests, tokens
from local_aws.registry.context import HOST, Context, find_repository
from local_aws.registry.errors import API_HEADERS, RegistryError

if t.TYPE_CHECKING:
    from local_aws.world import World

LOG = logging.getLogger(__name__)
SERVICE = "registry"
"""Its name among faults and calls; its operations are those of ECR for which a policy allows them."""
Handler = t.Callable[..., Response]
_NAME = r"/v2/(?P<name>[a-z0-9]+(?:[._/-][a-z0-9]+)*)"
_ROUTES: tuple[tuple[str, str, str, Handler], ...] = (
    ("POST", r"/blobs/uploads/?", "InitiateLayerUpload", blobs.begin),
    ("GET", r"/blobs/uploads/([^/]+)", "UploadLayerPart", blobs.progress),
    ("PATCH", r"/blobs/uploads/([^/]+)", "UploadLayerPart", blobs.append),
    ("PUT", r"/blobs/uploads/([^/]+)", "CompleteLayerUpload", blobs.finish),
    ("DELETE", r"/blobs/uploads/([^/]+)", "UploadLayerPart", blobs.cancel),
    ("HEAD", r"/blobs/([^/]+)", "BatchCheckLayerAvailability", blobs.download),
    ("GET", r"/blobs/([^/]+)", "GetDownloadUrlForLayer", blobs.download),
    ("HEAD", r"/manifests/([^/]+)", "BatchGetImage", manifests.read),
    ("GET", r"/manifests/([^/]+)", "BatchGetImage", manifests.read),
    ("PUT", r"/manifests/([^/]+)", "PutImage", manifests.write),
    ("GET", r"/tags/list", "ListImages", manifests.tags),
    ("GET", r"/referrers/([^/]+)", "ListImageReferrers", manifests.referrers),
)
_COMPILED = tuple(
    (method, re.compile(_NAME + path), operation, handler) for method, path, operation, handler in _ROUTES
)


class Registry:
    """The WSGI application."""

    def __init__(self, world: World, stopping: threading.Event) -> None:
        self.world = world
        self.stopping = stopping

    def __call__(self, environ: dict[str, t.Any], start_response: t.Any) -> t.Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        try:
            response = self._answer(request)
        except RegistryError as refusal:
            response = refusal.response()
        except ConnectionError:
            raise
        except Exception:  # a fault of ours is an answer, and the server goes on
            LOG.exception("%s %s failed", request.method, request.path)
            response = RegistryError(500, "UNKNOWN", "local_aws failed; see its server.log").response()
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        self._authenticate(request)
        if request.path.rstrip("/") == "/v2":
            return Response("{}", content_type="application/json", headers=API_HEADERS)
        for method, path, operation, handler in _COMPILED:
            found = path.fullmatch(request.path)
            if found and method == request.method:
                return self._timed(operation, request, functools.partial(_handle, handler, found, request))
        raise RegistryError(405, "UNSUPPORTED", f"This registry has no {request.method} {request.path}")

    def _authenticate(self, request: Request) -> None:
        given = request.authorization
        if given is None or given.type != "basic":
            message = f"no basic auth credentials: user {tokens.USER}, password of ecr get-login-password"
            raise RegistryError(401, "UNAUTHORIZED", message, tokens.challenge(HOST))
        tokens.check(
            self.world.token_secret, given.username or "", given.password or "", store.ACCOUNT, self.world.now()
        )

    def _timed(self, operation: str, request: Request, answer: t.Callable[[], Response]) -> Response:
        began = time.monotonic()
        try:
            fault = self.world.faults.take(CALL_KINDS, SERVICE, operation, request.path)
            return answer() if fault is None else self._fault(fault, operation, request, answer)
        finally:
            seconds = time.monotonic() - began
            self.world.calls.record(self.world.now().isoformat(), SERVICE, operation, "", seconds)

    def _fault(self, fault: Fault, operation: str, request: Request, answer: t.Callable[[], Response]) -> Response:
        if fault.kind == "delay":
            self.stopping.wait(fault.seconds)
            return answer()
        if fault.kind == "lost_reply":
            answer()
            raise hang_up(request.environ, "fault: the reply is lost")
        if fault.kind == "timeout":
            self.stopping.wait(fault.seconds)
            raise hang_up(request.environ, "fault: no reply")
        if fault.kind == "denied":
            user = f"arn:aws:iam::{store.ACCOUNT}:user/local"
            raise RegistryError(403, "DENIED", f"User: {user} is not authorized to perform: ecr:{operation}")
        if fault.kind == "throttle":
            raise RegistryError(429, "TOOMANYREQUESTS", "Rate exceeded")
        raise RegistryError(500, "UNKNOWN", "fault: internal error")


def _handle(handler: Handler, found: re.Match[str], request: Request) -> Response:
    name = found["name"]
    return handler(Context(request, name, find_repository(name)), *found.groups()[1:])
