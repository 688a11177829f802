# SPDX-License-Identifier: Apache-2.0
"""Errors of the distribution API, in the codes of its specification and the words of ECR."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from moto.core.exceptions import ServiceException
from werkzeug.wrappers import Response

API_HEADERS = {"Docker-Distribution-Api-Version": "registry/2.0"}


@dataclasses.dataclass
class RegistryError(Exception):
    """A refusal; container engines show the code in words and the message after it."""

    status: int
    code: str
    message: str
    headers: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    detail: t.Any = None

    def response(self) -> Response:
        """As the specification writes it."""
        error = {"code": self.code, "message": self.message} | ({"detail": self.detail} if self.detail else {})
        return Response(
            json.dumps({"errors": [error]}),
            status=self.status,
            content_type="application/json; charset=utf-8",
            headers={**API_HEADERS, **self.headers},
        )


_OF_ECR = {
    "RepositoryNotFoundException": (404, "NAME_UNKNOWN"),
    "ImageNotFoundException": (404, "MANIFEST_UNKNOWN"),
    "ImageTagAlreadyExistsException": (400, "TAG_INVALID"),
    "ImageDigestDoesNotMatchException": (400, "DIGEST_INVALID"),
    "LayersNotFoundException": (404, "MANIFEST_BLOB_UNKNOWN"),
    "ReferencedImagesNotFoundException": (404, "MANIFEST_BLOB_UNKNOWN"),
    "InvalidLayerException": (400, "DIGEST_INVALID"),
    "EmptyUploadException": (400, "BLOB_UPLOAD_INVALID"),
    "UploadNotFoundException": (404, "BLOB_UPLOAD_UNKNOWN"),
    "InvalidParameterException": (400, "MANIFEST_INVALID"),
}


def of_ecr(error: ServiceException) -> RegistryError:
    """What the ECR API refuses, as the registry refuses it."""
    status, code = _OF_ECR.get(error.code, (400, "UNSUPPORTED"))
    return RegistryError(status, code, str(error.message))
