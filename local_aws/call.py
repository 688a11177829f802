# SPDX-License-Identifier: Apache-2.0
"""Which service and operation a request is for, from its signature and its envelope."""

from __future__ import annotations

import dataclasses
import io
import re
import typing as t
from urllib.parse import parse_qs

from local_aws.errors import BODY, SERVICES

_SCOPE = re.compile(r"Credential=[^/,]+/\d{8}/(?P<region>[^/,]+)/(?P<service>[^/,]+)/")
_S3_VERBS = {
    ("GET", True): "GetObject",
    ("PUT", True): "PutObject",
    ("DELETE", True): "DeleteObject",
    ("HEAD", True): "HeadObject",
    ("POST", True): "CreateMultipartUpload",
    ("GET", False): "ListObjectsV2",
    ("PUT", False): "CreateBucket",
    ("DELETE", False): "DeleteBucket",
    ("HEAD", False): "HeadBucket",
    ("POST", False): "DeleteObjects",
}


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of the AWS API."""

    service: str
    operation: str
    protocol: str
    body: bytes


def read_call(environ: dict[str, t.Any]) -> Call:
    """Identify the call; the body stays readable for whoever answers it."""
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", "")) or _SCOPE.search(_presigned(environ))
    name = scope["service"] if scope else "s3"
    service = SERVICES.get(name, name)
    if service == "s3":
        return Call(service, _s3_operation(environ), "rest-xml", b"")
    body = _body(environ)
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        return Call(service, target.rsplit(".", 1)[-1], "json", body)
    fields = parse_qs(body.decode("utf-8", "replace")) or parse_qs(environ.get("QUERY_STRING", ""))
    protocol = "ec2" if service == "ec2" else "query"
    return Call(service, fields.get("Action", [""])[0], protocol, body)


def _body(environ: dict[str, t.Any]) -> bytes:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    environ[BODY] = body
    return bytes(body)


def _presigned(environ: dict[str, t.Any]) -> str:
    found = parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Credential", [""])[0]
    return f"Credential={found}"


def _s3_operation(environ: dict[str, t.Any]) -> str:
    path = environ.get("PATH_INFO", "/").strip("/")
    method = str(environ["REQUEST_METHOD"])
    return _S3_VERBS.get((method, "/" in path), method)
