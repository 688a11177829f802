# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The use case of ``inference_request``: send what has no result, wait, save the pictures."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws
from ansible_collections.diffusion.fleet.plugins.module_utils._aws.clock import Clock
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import (
    AwsError,
    FleetError,
    InvalidInput,
    WaitTimeout,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._requests import api, pictures
from ansible_collections.diffusion.fleet.plugins.module_utils._requests.body import Request, batches, parse_requests
from ansible_collections.diffusion.fleet.plugins.module_utils._requests.plan import (
    Outcome,
    failure_sentence,
    timeout_sentence,
    to_send,
)

FoundResults = dict[str, dict[str, t.Any]]


@dataclasses.dataclass(frozen=True)
class Options:
    """The module's options."""

    deployment_id: str
    requests: t.Sequence[t.Mapping[str, t.Any]]
    dest: str | None
    wait: bool
    wait_timeout: float
    poll_interval: float
    fail_on_error: bool

    def validate(self) -> None:
        """Raises InvalidInput for times that cannot be meant."""
        for name in ("wait_timeout", "poll_interval"):
            value = getattr(self, name)
            if value < 0 or (value == 0 and name == "poll_interval"):
                raise InvalidInput(f"{name}={value} must be above 0. Give a number of seconds.")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where requests go and results come from."""

    sqs: t.Any
    s3: t.Any
    queue_url: str
    bucket: str


def find_place(aws: Aws, deployment_id: str) -> Place:
    """The queue and the bucket of the deployment. Raises NotFound."""
    sqs = aws.client("sqs")
    url = api.find_queue(sqs, f"sd-task-queue-{deployment_id}")
    bucket = f"sd-images-{deployment_id}-{api.account_id(aws.client('sts'))}"
    return Place(sqs, aws.client("s3"), url, bucket)


def submit(aws: Aws, clock: Clock, options: Options, *, check_mode: bool) -> dict[str, t.Any]:
    """Send and wait; the module's result. Errors raised carry the result so far."""
    options.validate()
    requests = parse_requests(options.requests)
    place = find_place(aws, options.deployment_id)
    results: FoundResults = {}
    poll(place, requests, results)
    new = to_send(requests, results)
    sent = [request.id for request in new]
    if not check_mode:
        send(place, new)
        if options.wait:
            wait_for(place, clock, requests, results, options)
    outcome = save(place, Outcome(requests, sent, results, {}), options.dest, check_mode)
    judge(outcome, options, check_mode)
    return outcome.as_result()


def poll(place: Place, requests: t.Sequence[Request], results: FoundResults) -> None:
    """Add the results that have come since."""
    for request in requests:
        if request.id not in results:
            found = api.find_result(place.s3, place.bucket, request.id)
            results.update({request.id: found} if found is not None else {})


def send(place: Place, requests: t.Sequence[Request]) -> None:
    """Send the requests. Raises AwsError that names what was not accepted."""
    refused: dict[str, str] = {}
    for batch in batches(requests):
        refused.update(api.send_batch(place.sqs, place.queue_url, batch))
    if refused:
        sent = [request.id for request in requests if request.id not in refused]
        raise AwsError(
            f"{len(refused)} of {len(requests)} requests were not accepted by the queue: {refused}. Run this again: "
            "what has a result by then is not sent a second time.",
            changed=bool(sent),
            sent=sent,
            refused=refused,
        )


def wait_for(
    place: Place, clock: Clock, requests: t.Sequence[Request], results: FoundResults, options: Options
) -> None:
    """Collect results until all are there or the time is over."""
    deadline = clock.now() + dt.timedelta(seconds=options.wait_timeout)
    poll(place, requests, results)
    while len(results) < len(requests) and clock.now() < deadline:
        left = (deadline - clock.now()).total_seconds()
        clock.sleep(min(options.poll_interval, max(left, 0)))
        poll(place, requests, results)


def save(place: Place, outcome: Outcome, dest: str | None, check_mode: bool) -> Outcome:
    """Bring the pictures to ``dest``; the outcome with their paths."""
    if dest is None:
        return outcome
    wrote = False
    files: dict[str, list[str]] = {}
    for request_id in outcome.with_status("succeeded"):
        result = outcome.results[request_id]
        files[request_id] = pictures.picture_paths(dest, result)
        for path, image in pictures.missing(files[request_id], result):
            wrote = True
            if not check_mode:
                pictures.save_picture(place.s3, place.bucket, path, image)
    return dataclasses.replace(outcome, files=files, wrote=wrote)


def judge(outcome: Outcome, options: Options, check_mode: bool) -> None:
    """Raises when the run is no success: a request without a result, or with another status than succeeded."""
    error: FleetError | None = None
    if outcome.unsuccessful and options.fail_on_error:
        error = FleetError(failure_sentence(outcome), **outcome.as_result())
    elif options.wait and outcome.pending and not check_mode:
        error = WaitTimeout(timeout_sentence(outcome, options.wait_timeout), **outcome.as_result())
    if error is not None:
        raise error
