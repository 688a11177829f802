# SPDX-License-Identifier: Apache-2.0
"""The door: every request comes in here, meets the faults in force, and goes to moto, metadata or administration."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
import typing as t

from botocore.model import OperationNotFoundError
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from werkzeug.wrappers import Request, Response

from local_aws import admin, imds
from local_aws.call import Call, read_call
from local_aws.errors import error_response, unknown_operation
from local_aws.faults import CALL_KINDS, Fault
from local_aws.services import blobs
from local_aws.services.application import Application

if t.TYPE_CHECKING:
    from local_aws.world import World

LOG = logging.getLogger(__name__)
Environ = dict[str, t.Any]
# moto takes no locks of its own; SQS has its own and must never wait here, its long polls last 20 s.
_LOCKED = frozenset({"autoscaling", "ec2", "cloudwatch"})
_DENIED = {"ec2": "UnauthorizedOperation", "sns": "AuthorizationError", "sqs": "AccessDenied", "s3": "AccessDenied"}
_THROTTLED = {"ec2": "RequestLimitExceeded", "sqs": "RequestThrottled", "s3": "SlowDown"}


class Front:
    """The WSGI application of a world."""

    def __init__(self, world: World, stopping: threading.Event) -> None:
        self.world = world
        self.stopping = stopping
        self._aws = DomainDispatcherApplication(t.cast("t.Any", Application))

    def __call__(self, environ: Environ, start_response: t.Any) -> t.Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "/")
        if path.startswith("/_local/"):
            return admin.answer(self.world, Request(environ))(environ, start_response)
        if path.startswith("/imds/"):
            return imds.answer(self.world, Request(environ))(environ, start_response)
        if path.startswith(blobs.PREFIX):
            return blobs.answer(Request(environ))(environ, start_response)
        return self._aws_call(environ, start_response)

    def _aws_call(self, environ: Environ, start_response: t.Any) -> t.Iterable[bytes]:
        call, began = read_call(environ), time.monotonic()
        try:
            return self._answer(call, environ, start_response)
        finally:
            self.world.calls.record(
                self.world.now().isoformat(),
                call.service,
                call.operation,
                environ.get("HTTP_AUTHORIZATION", ""),
                time.monotonic() - began,
            )

    def _answer(self, call: Call, environ: Environ, start_response: t.Any) -> t.Iterable[bytes]:
        fault = self.world.faults.take(CALL_KINDS, call.service, call.operation, call.body.decode("utf-8", "replace"))
        if fault is None:
            return self._dispatch(call, environ, start_response)
        if fault.kind == "delay":
            self.stopping.wait(fault.seconds)
            return self._dispatch(call, environ, start_response)
        if fault.kind == "lost_reply":
            list(self._dispatch(call, environ, lambda *_unused: None))
            raise hang_up(environ, f"fault: the reply of {call.operation} is lost")
        if fault.kind == "timeout":
            self.stopping.wait(fault.seconds)
            raise hang_up(environ, f"fault: {call.operation} timed out")
        return fault_response(fault, call, environ)(environ, start_response)

    def _dispatch(self, call: Call, environ: Environ, start_response: t.Any) -> t.Iterable[bytes]:
        lock = self.world.lock if call.service in _LOCKED else contextlib.nullcontext()
        try:
            with lock:
                return list(self._aws(environ, start_response))
        except (NotImplementedError, OperationNotFoundError):  # moto lacks the operation: a gap, not a fault of ours
            LOG.warning("%s.%s is not implemented", call.service, call.operation)
            return unknown_operation(environ, call.service, call.operation, call.protocol)(environ, start_response)
        except ConnectionError:
            raise
        except Exception:  # a fault of ours is an answer, and the server goes on
            LOG.exception("%s.%s failed: %s", call.service, call.operation, call.body[:2000])
            reply = error_response(
                environ, call.service, "InternalFailure", "local_aws failed; see its server.log", 500
            )
            return reply(environ, start_response)


def hang_up(environ: Environ, reason: str) -> ConnectionAbortedError:
    """Close the connection without a reply; the error to raise so that the server gives it up too."""
    connection: socket.socket | None = environ.get("werkzeug.socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    return ConnectionAbortedError(reason)


def fault_response(fault: Fault, call: Call, environ: Environ) -> Response:
    """The error that the fault stands for, in the service's own words."""
    if fault.kind == "error500":
        return error_response(environ, call.service, "InternalFailure", "fault: internal error", 500)
    if fault.kind == "denied":
        code = _DENIED.get(call.service, "AccessDeniedException" if call.protocol == "json" else "AccessDenied")
        message = (
            f"User: arn:aws:iam::123456789012:user/local is not authorized to perform: {call.service}:{call.operation}"
        )
        return error_response(environ, call.service, code, message, 403)
    code = _THROTTLED.get(call.service, "ThrottlingException" if call.protocol == "json" else "Throttling")
    return error_response(environ, call.service, code, "Rate exceeded", 503 if call.service in ("ec2", "s3") else 400)
