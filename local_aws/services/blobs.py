# SPDX-License-Identifier: Apache-2.0
"""The bytes of image layers, by digest, as the registry's download links serve them."""

from __future__ import annotations

import typing as t

from werkzeug.wrappers import Request, Response

PREFIX = "/_local-ecr/"


def find(repository: str, digest: str) -> bytes | None:
    """The blob of that digest in that repository."""
    return _blobs(repository).get(digest)


def _blobs(repository: str) -> t.Mapping[str, bytes]:
    from moto.ecr.models import ecr_backends

    from local_aws.store import ACCOUNT, REGION

    found = ecr_backends[ACCOUNT][REGION].repositories.get(repository)
    return getattr(found, "blobs", {})


def answer(request: Request) -> Response:
    """Serve ``/_local-ecr/<repository>/blobs/<digest>``."""
    repository, _unused, digest = request.path[len(PREFIX) :].partition("/blobs/")
    blob = find(repository, digest)
    if blob is None:
        return Response(f"no blob {digest} in {repository}", status=404)
    return Response(blob, content_type="application/octet-stream")
