# SPDX-License-Identifier: Apache-2.0
"""A service of moto as a WSGI application: its own paths, and nothing of Flask between a request and moto's answer.

moto's server makes a Flask application of each service, of which it uses the routing. Contexts, signals, sessions and
CORS took a seventh of the time of a call.
"""

from __future__ import annotations

import typing as t

from botocore.exceptions import ClientError
from moto import backends
from moto.core import request as moto_request
from moto.core.base_backend import BackendDict
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.utilities import RegexConverter
from moto.moto_server.werkzeug_app import HTTP_METHODS
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Response

Handler = t.Callable[[t.Any, str, dict[str, str]], t.Any]


class _Request(moto_request.Request):
    from_wsgi_server = True


class _Response(Response):
    default_mimetype = "text/html"  # Flask's, where moto names none


class Application:
    """One service."""

    def __init__(self, service: t.Any) -> None:
        self._paths = Map(
            [
                Rule(path, endpoint=handler, methods=HTTP_METHODS, strict_slashes=False)
                for path, handler in _backend(service).flask_paths.items()
                if path
            ],
            converters={"regex": RegexConverter},
        )

    def __call__(self, environ: dict[str, t.Any], start_response: t.Any) -> t.Iterable[bytes]:
        """Answer one request; what moto raises of HTTP is an answer too."""
        try:
            handler, _unused = self._paths.bind_to_environ(environ).match()
            answer: t.Any = _answer(handler, _Request(environ))
        except HTTPException as error:
            answer = error
        return t.cast("t.Iterable[bytes]", answer(environ, start_response))


def _backend(service: t.Any) -> t.Any:
    """One of the service's backends: they differ in account and region, and have the same paths."""
    found = backends.get_backend(service)
    if not isinstance(found, BackendDict):
        return t.cast("dict[str, t.Any]", found)["global"]
    regions = found[DEFAULT_ACCOUNT_ID]
    return regions["us-east-1" if "us-east-1" in regions else "aws"]


def _answer(handler: Handler, request: _Request) -> Response:
    """Moto answers with a body, or with status, headers and body."""
    try:
        result = handler(request, request.raw_url, dict(request.headers))
    except ClientError as error:
        result = 400, {}, error.response["Error"]["Message"]
    status, headers, body = result if len(result) == 3 else (200, {}, result)
    answer = _Response(response=body, status=status, headers=headers)
    if request.method == "HEAD" and "content-length" in headers:
        answer.headers["Content-Length"] = headers["content-length"]
    return answer
