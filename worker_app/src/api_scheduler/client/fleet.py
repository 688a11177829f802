# SPDX-License-Identifier: Apache-2.0
"""The fleet of one deployment: send requests, wait for results, cancel, fetch pictures."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
import typing as t

from botocore.config import Config

from api_scheduler.client import calls, waiting
from api_scheduler.client.errors import BadRequest, CallFailed, NotSent, NotThere, OtherContent
from api_scheduler.client.requests import Request, batches
from api_scheduler.client.results import Result, Status, read_document, read_progress, read_result
from api_scheduler.clock import Clock, SystemClock
from api_scheduler.documents.envelope import is_request_id
from api_scheduler.documents.result import Image, cancellation
from api_scheduler.store import progress_key, result_key, state_key

_SEND_PAUSES = (0.2, 1.0, 3.0)
_LONGEST_ADDRESS = 7 * 24 * 3600


class FleetClient:
    """One deployment. Its methods may be called from several threads."""

    def __init__(
        self,
        deployment_id: str,
        session: t.Any = None,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        bucket: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """``session`` is a boto3 session, left out: the default one.

        ``bucket`` is left out in a deployment made by the playbooks: its name follows from the account.
        """
        if session is None:
            import boto3  # only here: whoever brings a session may have made it otherwise

            session = boto3.Session()
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 5},
            s3={"addressing_style": "path"} if endpoint_url else None,
        )
        client = functools.partial(session.client, region_name=region, endpoint_url=endpoint_url, config=config)
        self._sqs, self._sts = client("sqs"), client("sts")
        # Addresses that are handed out must be signed in the way that every region takes.
        self._s3 = client("s3", config=config.merge(Config(signature_version="s3v4")))
        self._name = deployment_id
        self._bucket = bucket
        self._clock = clock or SystemClock()

    @functools.cached_property
    def queue_url(self) -> str:
        """Where requests go. Raises NotThere."""
        return calls.queue_url(self._sqs, f"sd-task-queue-{self._name}")

    @functools.cached_property
    def bucket(self) -> str:
        """Where results lie."""
        return self._bucket or f"sd-images-{self._name}-{calls.account_id(self._sts)}"

    # -- sending ----------------------------------------------------------------------------------------------------

    def send(self, request: Request, trace: str | None = None) -> str:
        """Put a request into the queue; its id. ``trace`` is an X-Ray header. Raises NotSent.

        Whatever goes wrong, sending the same Request again is harmless: it is drawn once.
        """
        return self.send_many([request], trace)[0]

    def send_many(self, requests: t.Iterable[Request], trace: str | None = None) -> list[str]:
        """Put requests into the queue, ten with each call; their ids. Raises NotSent, which says which are there."""
        groups, sent, refused = batches(requests), list[str](), dict[str, str]()
        url = self.queue_url
        for number, group in enumerate(groups):
            try:
                lost = self._send_group(url, group, trace)
            except CallFailed as error:
                rest = [request.id for waiting_group in groups[number:] for request in waiting_group]
                raise NotSent(sent, {**refused, **dict.fromkeys(rest, str(error))}) from error
            refused |= lost
            sent += [request.id for request in group if request.id not in lost]
        if refused:
            raise NotSent(sent, refused)
        return sent

    def _send_group(self, url: str, group: list[Request], trace: str | None) -> dict[str, str]:
        """Send one batch, again what SQS could not take at that moment; what it did not take, with the reasons."""
        refused: dict[str, str] = {}
        for pause in (*_SEND_PAUSES, 0.0):
            failed = calls.send_batch(self._sqs, url, group, trace)
            refused |= {group[place].id: reason for place, reason, again in failed if not again or not pause}
            group = [group[place] for place, _reason, again in failed if again]
            if not group:
                break
            self._clock.wait(threading.Event(), pause)
        return refused

    # -- results ----------------------------------------------------------------------------------------------------

    def result(self, request_id: str) -> Result | None:
        """The result as it is now; None while there is none."""
        data = calls.read(self._s3, self.bucket, result_key(_checked(request_id)))
        return read_result(data) if data is not None else None

    def status(self, request_id: str) -> Status:
        """Where a request is: waiting, running with the share that is done, or ended.

        Workers tell of drawings that take longer than ``SD_PROGRESS_SECONDS`` (10). What is drawn faster, is in the
        queue, or was never sent, is ``waiting``.
        """
        if (result := self.result(request_id)) is not None:
            return Status(result.status, result, attempt=result.attempts or None)
        told = calls.read_aged(self._s3, self.bucket, progress_key(request_id))
        running = read_progress(*told) if told else None
        if running is not None:
            return running
        record = calls.read(self._s3, self.bucket, state_key(request_id))
        tried = len(read_document(record, (1,)).get("attempts") or ()) if record is not None else 0
        return Status("waiting", attempt=tried or None)

    def wait(self, request_id: str, timeout: float | None = 300.0) -> Result | None:
        """The result, once it is there; None when it is not there in that time."""
        return self.wait_many([request_id], timeout).get(request_id)

    def wait_many(self, ids: t.Iterable[str], timeout: float | None = 300.0) -> dict[str, Result]:
        """The results that are there when all are, or when the time is up."""
        return {result.id: result for result in self.iterate(ids, timeout)}

    def iterate(self, ids: t.Iterable[str], timeout: float | None = None) -> t.Iterator[Result]:
        """Results as they come, until all are there or the time is up.

        A failed one may be replaced once more when a rollback sends its request again, see ``replayed_from``.
        """
        return waiting.arrivals(self.result, [_checked(request_id) for request_id in ids], timeout, self._clock)

    def cancel(self, request: Request | str) -> Result:
        """End a request that has no result yet; the result that stands from now on.

        Its status says who was first: ``cancelled``, or what a worker had answered before. Then nothing changes.
        """
        if isinstance(request, Request):
            document = cancellation(request.id, request.body_sha256, request.context)
        else:
            document = cancellation(_checked(request))
        data = json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8")
        while True:
            if calls.write_new(self._s3, self.bucket, result_key(document["id"]), data):
                return read_result(data)
            there = self.result(document["id"])
            if there is not None:  # else it has expired since
                return there

    # -- pictures ---------------------------------------------------------------------------------------------------

    def fetch(self, result: Result) -> list[bytes]:
        """The pictures (PNG), each checked against its result. Raises NotThere and OtherContent."""
        return [self.fetch_picture(picture) for picture in result.pictures]

    def fetch_picture(self, picture: Image) -> bytes:
        """One picture, checked."""
        data = calls.read(self._s3, self.bucket, picture.key)
        if data is None:
            raise NotThere(f"s3://{self.bucket}/{picture.key} is gone: results and their pictures expire together")
        if hashlib.sha256(data).hexdigest() != picture.sha256:
            raise OtherContent(f"s3://{self.bucket}/{picture.key} is not the picture of its result: its sha256 differs")
        return data

    def addresses(self, result: Result, seconds: int = 3600) -> list[str]:
        """A presigned URL for each picture: whoever has it may read the picture for that long.

        Signed here, with the credentials of this client, and never valid for longer than these.
        """
        if not 1 <= seconds <= _LONGEST_ADDRESS:
            raise BadRequest(f"seconds={seconds!r} is not from 1 to {_LONGEST_ADDRESS}")
        return [calls.presigned(self._s3, self.bucket, picture.key, seconds) for picture in result.pictures]


def _checked(request_id: str) -> str:
    if not is_request_id(request_id):
        raise BadRequest(f"{request_id!r} is not an id of a request")
    return request_id
