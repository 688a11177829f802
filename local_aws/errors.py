# SPDX-License-Identifier: Apache-2.0
"""Errors of AWS in the spelling of each service's own protocol."""

from __future__ import annotations

import io
import typing as t
import warnings

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.moto_server.werkzeug_app import BackendRequest
from werkzeug.wrappers import Response

SERVICES = {"monitoring": "cloudwatch", "elasticloadbalancing": "elbv2"}
"""Signing names that differ from botocore's service names."""
BODY = "local_aws.body"
"""Where the environment keeps the request's body, which can be read only once."""


class AwsError(ServiceException):
    """An error with one of AWS's own codes."""


class _Spelling(BaseResponse):
    """Only serialises: it has no operations."""


def error_response(environ: dict[str, t.Any], service: str, code: str, message: str, status: int = 400) -> Response:
    """The error as that service would write it."""
    body = environ.get(BODY)
    if body is not None:
        environ["wsgi.input"] = io.BytesIO(body)
    spelling = _Spelling(service_name=service)
    spelling.setup_class(BackendRequest(environ), use_raw_body=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # moto warns of codes that are common to all services, thus in no model
        _unused, headers, text = spelling.serialized(ActionResult(AwsError(code, message)))
    headers.pop("status", None)
    return Response(text, status=status, headers=headers)


UNKNOWN_CODE = {"query": "InvalidAction", "ec2": "InvalidAction", "json": "UnknownOperationException"}


def unknown_operation(environ: dict[str, t.Any], service: str, operation: str, protocol: str) -> Response:
    """What AWS answers to an operation that it does not have: 400, never a page of HTML."""
    message = f"The action {operation} of {service} is not implemented by local_aws."
    return error_response(environ, service, UNKNOWN_CODE.get(protocol, "NotImplemented"), message)
