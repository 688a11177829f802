# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Smoke requests: our own jobs with fixed seeds, on a queue of each release."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import aws_call, error_code
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import NotFound
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import Smoke
from ansible_collections.diffusion.fleet.plugins.module_utils._requests.api import find_queue

RELEASE_ID = re.compile(r"[0-9a-f]{12}")
BATCH = 10
"""Entries of one SendMessageBatch (SQS API reference)."""
RETENTION = "86400"
"""Seconds a smoke request is kept: a day is longer than any step."""


def smoke_bodies(smoke: Smoke, release_id: str, sequence: int, step: int) -> list[str]:
    """The requests of one step; the same ones whenever it is asked again, so that a retry draws nothing twice."""
    return [
        json.dumps(
            {
                "id": f"{smoke_prefix(release_id, sequence)}{step}-{number}",
                "api": "/sdapi/v1/txt2img",
                "payload": {**smoke.payload, "seed": 1000 + number},
                "context": {"smoke": True},
            },
            sort_keys=True,
        )
        for number in range(smoke.count if smoke.payload else 0)
    ]


def smoke_prefix(release_id: str, sequence: int) -> str:
    """What the ids of all smoke requests of a release begin with."""
    return f"smoke-{sequence}-{release_id}-"


@aws_call("create the smoke queue")
def ensure_queue(sqs: t.Any, names: Names, release_id: str) -> bool:
    """Create the release's smoke queue where it is missing; False while SQS still refuses a name just deleted.

    A name can be used again 60 seconds after its deletion (SQS CreateQueue API reference).
    """
    tags = {"DeploymentId": names.deployment_id, "Service": "StableDiffusion"}
    attributes = {"MessageRetentionPeriod": RETENTION, "SqsManagedSseEnabled": "true"}
    try:
        sqs.create_queue(QueueName=names.smoke_queue(release_id), Attributes=attributes, tags=tags)
    except sqs.exceptions.ClientError as error:
        if "QueueDeletedRecently" in error_code(error):
            return False
        raise
    return True


def send(sqs: t.Any, names: Names, release_id: str, bodies: t.Sequence[str]) -> None:
    """Send to the release's own queue; a queue that is gone (a release from before) is no error."""
    if not bodies:
        return
    try:
        url = find_queue(sqs, names.smoke_queue(release_id))
    except NotFound:
        return
    for start in range(0, len(bodies), BATCH):
        _send_batch(sqs, url, bodies[start : start + BATCH])


@aws_call("send smoke requests")
def _send_batch(sqs: t.Any, url: str, bodies: t.Sequence[str]) -> None:
    entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
    sqs.send_message_batch(QueueUrl=url, Entries=entries)


def remove_others(sqs: t.Any, names: Names, kept: t.Collection[str]) -> None:
    """Remove the smoke queues of releases that nobody can return to."""
    for release_id, url in find_queues(sqs, names).items():
        if release_id not in kept:
            delete_queue(sqs, url)


def find_queues(sqs: t.Any, names: Names) -> dict[str, str]:
    """Release ids and addresses of the deployment's smoke queues.

    The id of another deployment may begin with this one's: only names with a ReleaseId behind are ours.
    """
    found = {url.rsplit("/", 1)[1].removeprefix(names.smoke_prefix): url for url in _list(sqs, names.smoke_prefix)}
    return {release_id: url for release_id, url in found.items() if RELEASE_ID.fullmatch(release_id)}


@aws_call("list the smoke queues")
def _list(sqs: t.Any, prefix: str) -> list[str]:
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix=prefix)
    return [url for page in pages for url in page.get("QueueUrls", ())]


@aws_call("remove a smoke queue")
def delete_queue(sqs: t.Any, url: str) -> None:
    """Remove one queue."""
    sqs.delete_queue(QueueUrl=url)
