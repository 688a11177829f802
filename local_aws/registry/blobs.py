# SPDX-License-Identifier: Apache-2.0
"""Layers and configurations: their downloads, and their uploads in one piece, in chunks or from another repository."""

from __future__ import annotations

import contextlib
import re

from werkzeug.exceptions import BadRequest, ClientDisconnected
from werkzeug.wrappers import Request, Response
from werkzeug.wsgi import get_input_stream

from local_aws.registry.context import Context, checked_digest, find_repository, reply
from local_aws.registry.errors import API_HEADERS, RegistryError
from local_aws.services import blobs
from local_aws.services.ecr import start_upload

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_CONTENT_RANGE = re.compile(r"(?:bytes )?(\d+)-(\d+)(?:/.*)?")


def download(context: Context, digest: str) -> Response:
    """GET or HEAD of a blob, or of a part of one."""
    blob = blobs.of(context.repository).get(checked_digest(digest))
    if blob is None:
        raise RegistryError(404, "BLOB_UNKNOWN", f"The repository '{context.name}' holds no layer {digest}")
    headers = {
        **API_HEADERS,
        "Docker-Content-Digest": digest,
        "ETag": f'"{digest}"',
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
    }
    asked = context.request.headers.get("Range", "")
    start, end = _range(asked, blob)
    if asked:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{blob.size}"
    headers["Content-Length"] = str(end - start)
    return Response(blob.chunks(start, end), status=206 if asked else 200, headers=headers)


def _range(asked: str, blob: blobs.Blob) -> tuple[int, int]:
    """From which byte to before which one."""
    if not asked:
        return 0, blob.size
    found = _RANGE.fullmatch(asked.strip())
    start = int(found[1]) if found else 0
    end = min(int(found[2]) + 1, blob.size) if found and found[2] else blob.size
    if not found or start >= end:
        headers = {"Content-Range": f"bytes */{blob.size}"}
        raise RegistryError(416, "RANGE_INVALID", f"'{asked}' is no part of {blob.size} bytes", headers)
    return start, end


def begin(context: Context) -> Response:
    """POST: an upload, whole with ``?digest=``, from another repository with ``?mount=``, otherwise still to come."""
    digest, source = context.request.args.get("mount"), context.request.args.get("from")
    if digest and source and _mount(context, checked_digest(digest), source):
        return _created(context, digest)
    upload = start_upload(context.repository)
    if "digest" in context.request.args:
        return finish(context, upload.upload_id)
    return _accepted(context, upload, 202)


def _mount(context: Context, digest: str, source: str) -> bool:
    """Take over what another repository holds; False where it does not, and the client uploads."""
    with contextlib.suppress(RegistryError):
        blob = blobs.of(find_repository(source)).get(digest)
        if blob is not None:
            blobs.keep(context.repository, blob)
            return True
    return False


def append(context: Context, upload_id: str) -> Response:
    """PATCH: more of it."""
    upload = _find(context, upload_id)
    with upload.lock:
        _check_start(context, upload)
        _receive(context.request, upload)
    return _accepted(context, upload, 202)


def finish(context: Context, upload_id: str) -> Response:
    """PUT: the rest of it, if any, and its digest, which must be that of the bytes."""
    upload = _find(context, upload_id)
    digest = checked_digest(context.request.args.get("digest", ""))
    with upload.lock:
        _check_start(context, upload)
        _receive(context.request, upload)
        context.repository.uploads.pop(upload_id, None)
        if upload.digest != digest:
            raise RegistryError(
                400, "DIGEST_INVALID", f"Layer digest '{upload.digest}' of the upload is not '{digest}'"
            )
        if digest not in context.repository.layers:
            blobs.keep(context.repository, upload.blob())
    return _created(context, digest)


def progress(context: Context, upload_id: str) -> Response:
    """GET: how far it has come."""
    return _accepted(context, _find(context, upload_id), 204)


def cancel(context: Context, upload_id: str) -> Response:
    """DELETE: it comes to nothing."""
    _find(context, upload_id)
    context.repository.uploads.pop(upload_id, None)
    return reply(204)


def _find(context: Context, upload_id: str) -> blobs.Upload:
    upload: blobs.Upload | None = context.repository.uploads.get(upload_id)
    if upload is None:
        raise RegistryError(404, "BLOB_UPLOAD_UNKNOWN", f"The repository '{context.name}' has no upload {upload_id}")
    return upload


def _check_start(context: Context, upload: blobs.Upload) -> None:
    """A chunk that says where it begins begins where the one before has ended."""
    text = context.request.headers.get("Content-Range")
    if text is None:
        return
    found = _CONTENT_RANGE.fullmatch(text.strip())
    if not found or int(found[1]) != upload.size:
        message = f"the chunk {text} does not follow the {upload.size} bytes that are there"
        raise RegistryError(416, "BLOB_UPLOAD_INVALID", message, _where(context, upload))


def _receive(request: Request, upload: blobs.Upload) -> None:
    """The body, a piece at a time; what came before a connection broke is kept."""
    body = get_input_stream(request.environ)
    try:
        while data := body.read(blobs.CHUNK):
            upload.add(data)
    except (OSError, ValueError, BadRequest, ClientDisconnected) as problem:
        raise RegistryError(
            400, "BLOB_UPLOAD_INVALID", f"the upload broke off after {upload.size} bytes: {problem}"
        ) from None


def _where(context: Context, upload: blobs.Upload) -> dict[str, str]:
    return {
        "Location": f"/v2/{context.name}/blobs/uploads/{upload.upload_id}",
        "Range": f"0-{max(upload.last_byte_received, 0)}",
        "Docker-Upload-UUID": upload.upload_id,
    }


def _accepted(context: Context, upload: blobs.Upload, status: int) -> Response:
    return reply(status, _where(context, upload))


def _created(context: Context, digest: str) -> Response:
    return reply(201, {"Location": f"/v2/{context.name}/blobs/{digest}", "Docker-Content-Digest": digest})
