# SPDX-License-Identifier: Apache-2.0
"""The calls of AWS that the client makes: one function each."""

from __future__ import annotations

import datetime as dt
import email.utils
import functools
import typing as t

from botocore.exceptions import ClientError

from api_scheduler.aws import AwsFailure, error_code
from api_scheduler.client.errors import CallFailed, NotThere
from api_scheduler.client.requests import Request

_ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})
_NO_QUEUE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
_FORBIDDEN = frozenset({"AccessDenied", "403", "Forbidden"})
_P = t.ParamSpec("_P")
_R = t.TypeVar("_R")


def _call(doing: str) -> t.Callable[[t.Callable[_P, _R]], t.Callable[_P, _R]]:
    """What AWS raises becomes a CallFailed that says what was tried."""

    def decorate(function: t.Callable[_P, _R]) -> t.Callable[_P, _R]:
        @functools.wraps(function)
        def called(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            try:
                return function(*args, **kwargs)
            except AwsFailure as error:
                raise CallFailed(f"cannot {doing}: {error}", error_code(error)) from error

        return called

    return decorate


@_call("find out which account this is")
def account_id(sts: t.Any) -> str:
    """The account of the credentials in use."""
    return str(sts.get_caller_identity()["Account"])


@_call("find the queue")
def queue_url(sqs: t.Any, name: str) -> str:
    """The queue's address. Raises NotThere."""
    try:
        return str(sqs.get_queue_url(QueueName=name)["QueueUrl"])
    except ClientError as error:
        if error_code(error) in _NO_QUEUE:
            raise NotThere(f"queue {name} does not exist in this account and region: check deployment_id") from error
        raise


@_call("send requests")
def send_batch(sqs: t.Any, url: str, requests: t.Sequence[Request], trace: str | None) -> list[tuple[int, str, bool]]:
    """Send up to ten; what was not taken: its place, the reason, and whether trying again may help."""
    header = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}} if trace else {}
    entries = [
        {"Id": str(place), "MessageBody": request.body, **({"MessageSystemAttributes": header} if header else {})}
        for place, request in enumerate(requests)
    ]
    failed = sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed", [])
    return [
        (int(entry["Id"]), str(entry.get("Message") or entry.get("Code")), not entry.get("SenderFault"))
        for entry in failed
    ]


@_call("read from the bucket")
def read(s3: t.Any, bucket: str, key: str) -> bytes | None:
    """An object's bytes; None where there is none."""
    try:
        return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError as error:
        if error_code(error) in _ABSENT:
            return None
        if error_code(error) in _FORBIDDEN:
            hint = "reading what may not exist yet needs s3:ListBucket beside s3:GetObject"
            raise CallFailed(f"cannot read s3://{bucket}/{key}: {error} ({hint})", error_code(error)) from error
        raise


@_call("read from the bucket")
def read_aged(s3: t.Any, bucket: str, key: str) -> tuple[bytes, float] | None:
    """An object's bytes, and its age in seconds by the bucket's own clock; None where there is none."""
    try:
        found = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error_code(error) in _ABSENT:
            return None
        raise
    said = found["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = email.utils.parsedate_to_datetime(said) if said else dt.datetime.now(dt.UTC)
    return bytes(found["Body"].read()), max(0.0, (now - found["LastModified"]).total_seconds())


@_call("write the cancellation")
def write_new(s3: t.Any, bucket: str, key: str, data: bytes) -> bool:
    """Write an object where there is none; whether it was written."""
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=data, ContentType="application/json", IfNoneMatch="*")
    except ClientError as error:
        if error_code(error) in ("PreconditionFailed", "412"):
            return False
        raise
    return True


@_call("make an address")
def presigned(s3: t.Any, bucket: str, key: str, seconds: int) -> str:
    """An address under which anyone may read this object for that long."""
    names = {"Bucket": bucket, "Key": key}
    return str(s3.generate_presigned_url("get_object", Params=names, ExpiresIn=seconds))
