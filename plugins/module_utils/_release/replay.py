# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Sending again what a rejected release failed, once everything runs the stable release.

A worker keeps the body of each request that it fails under state/failed/, by release and time, before it writes the
failed result: the listing is complete whatever became of the instance and its log. A body is removed when it has been
sent, so what lies there is what is left to do, and a run that dies in between sends a few again. That is harmless: a
worker draws a replay only while the present result is the failed one of the release that the message names.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws, aws_call, error_code
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger, left_behind
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._requests.api import queue_url

FAILED = "state/failed/"
BATCH = 40
"""Requests of one tick: few enough that the lock is renewed in time."""
LOOK = 1000
"""Keys of one look (ListObjectsV2 answers at most so many)."""
STAMP = "%Y%m%dT%H%M%SZ"
TOO_LARGE = frozenset({"InvalidParameterValue", "InvalidMessageContents"})
COPIES_LOOKED_AT = 20
"""Receives of ten, in search of dead letters that a replay has taken back."""
COPIES_HIDDEN = 30
"""Seconds for which other dead letters are out of sight meanwhile."""


@dataclasses.dataclass(frozen=True)
class Failed:
    """A request that a release failed."""

    key: str
    release_id: str
    request_id: str


@dataclasses.dataclass(frozen=True)
class Failures:
    """What was found to send again, oldest first."""

    requests: tuple[Failed, ...] = ()
    trouble: str = ""
    """Why it could not be looked for."""


def since(ledger: Ledger, now: dt.datetime, lookback: int) -> dt.datetime:
    """From when on failures are replayed: all of an open release's, the last ``lookback`` seconds of a stable one's."""
    bound = now - dt.timedelta(seconds=lookback)
    return min(bound, dt.datetime.fromisoformat(ledger.started_at)) if ledger.started_at else bound


def parse_key(key: str) -> Failed | None:
    """The request that a key stands for: state/failed/<release>/<time>/<request>/<sha256 of the body>."""
    parts = key.removeprefix(FAILED).split("/")
    return Failed(key, parts[0], parts[2]) if key.startswith(FAILED) and len(parts) == 4 and all(parts) else None


def count_text(ledger: Ledger, failures: Failures) -> str:
    """How much there is to replay, for the line of the run."""
    left = len(failures.requests)
    known = _requests(ledger.replayed + left, "at least " if left >= LOOK else "")
    version = " and ".join(release.version for release in left_behind(ledger))
    sent = f", {ledger.replayed} sent" if ledger.replayed else ""
    return f"replaying {known} that {version} failed{sent}"


def _requests(count: int, before: str = "", kind: str = "") -> str:
    return f"{before}{count} {kind}request{'' if count == 1 else 's'}"


def outcome_text(ledger: Ledger, failures: Failures) -> str:
    """What became of it, for the reason that the history keeps."""
    sent = f"; {_requests(ledger.replayed, kind='failed ')} sent again" if ledger.replayed else ""
    return sent + (f" (warning: nothing more is replayed: {failures.trouble})" if failures.trouble else "")


def find(s3: t.Any, bucket: str, release_ids: t.Iterable[str], start: dt.datetime) -> tuple[Failed, ...]:
    """Requests that these releases have failed since then and that were not sent again; a look's worth of each."""
    return tuple(failed for release_id in release_ids for failed in _find(s3, bucket, release_id, start))


@aws_call("list the failed requests")
def _find(s3: t.Any, bucket: str, release_id: str, start: dt.datetime) -> tuple[Failed, ...]:
    prefix = f"{FAILED}{release_id}/"
    after = prefix + start.astimezone(dt.UTC).strftime(STAMP)
    page = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, StartAfter=after, MaxKeys=LOOK)
    return tuple(found for row in page.get("Contents", ()) if (found := parse_key(row["Key"])))


def send_again(aws: Aws, names: Names, bucket: str, batch: t.Sequence[Failed]) -> int:
    """Send these requests to the task queue; how many were sent.

    Raises: FleetError.
    """
    s3, sqs = aws.client("s3"), aws.client("sqs")
    url, sent = queue_url(sqs, names.task_queue), 0
    for failed in batch:
        body = _read_body(s3, bucket, failed.key)
        if body is not None:  # else another run has sent it meanwhile
            _send(sqs, url, body, failed)
            sent += 1
    return sent


def _send(sqs: t.Any, url: str, body: str, failed: Failed) -> None:
    marks = {"replay_of": failed.release_id, "request_id": failed.request_id}
    if not _send_message(sqs, url, body, marks):
        # As large as a message may be, without room for attributes: the worker fetches the body from beside the result.
        _send_message(sqs, url, "{}", {**marks, "body_at": f"results/{failed.request_id}/request.json"})


@aws_call("send a failed request again")
def _send_message(sqs: t.Any, url: str, body: str, marks: t.Mapping[str, str]) -> bool:
    """Whether SQS took it."""
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in marks.items()}
    try:
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)
    except sqs.exceptions.ClientError as error:
        if error_code(error) not in TOO_LARGE or "body_at" in marks:
            raise
        return False
    return True


@aws_call("read a failed request")
def _read_body(s3: t.Any, bucket: str, key: str) -> str | None:
    try:
        return str(s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode("utf-8"))
    except s3.exceptions.ClientError as error:
        if error_code(error) in ("NoSuchKey", "404"):
            return None
        raise


@aws_call("forget the failed requests that were sent again")
def forget(s3: t.Any, bucket: str, batch: t.Sequence[Failed]) -> None:
    """Remove what was sent from what is left to do."""
    objects = [{"Key": failed.key} for failed in batch]
    s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})


# ---------------------------------------------------------------- the dead letter queue


def remove_copies(sqs: t.Any, names: Names, release_ids: t.Collection[str], start: dt.datetime) -> None:
    """Take the copies of what was replayed out of the dead letter queue: those of these releases since then.

    One that escapes a bounded look is told by its attribute replay_of, and harmless if it is moved to the task queue.

    Raises: FleetError.
    """
    url, others = queue_url(sqs, names.dead_letter_queue), []
    for _unused in range(COPIES_LOOKED_AT):
        found = _receive(sqs, url)
        ours = [row for row in found if _is_copy(row, release_ids, start)]
        others += [row for row in found if row not in ours]
        _delete(sqs, url, ours)
        if not found:
            break
    _show(sqs, url, others)


def _is_copy(message: t.Mapping[str, t.Any], release_ids: t.Collection[str], start: dt.datetime) -> bool:
    mark = (message.get("MessageAttributes") or {}).get("replay_of", {}).get("StringValue")
    sent_ms = int((message.get("Attributes") or {}).get("SentTimestamp", 0))
    return mark in release_ids and sent_ms >= start.timestamp() * 1000


@aws_call("read the dead letter queue")
def _receive(sqs: t.Any, url: str) -> list[dict[str, t.Any]]:
    answer = sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        WaitTimeSeconds=0,
        VisibilityTimeout=COPIES_HIDDEN,
        MessageAttributeNames=["replay_of"],
        MessageSystemAttributeNames=["SentTimestamp"],
    )
    return list(answer.get("Messages", ()))


@aws_call("remove dead letters that were sent again")
def _delete(sqs: t.Any, url: str, messages: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    entries = [{"Id": str(number), "ReceiptHandle": row["ReceiptHandle"]} for number, row in enumerate(messages)]
    if entries:
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)


@aws_call("show dead letters again")
def _show(sqs: t.Any, url: str, messages: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    for begin in range(0, len(messages), 10):
        entries = [
            {"Id": str(number), "ReceiptHandle": row["ReceiptHandle"], "VisibilityTimeout": 0}
            for number, row in enumerate(messages[begin : begin + 10])
        ]
        sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
