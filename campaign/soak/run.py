# SPDX-License-Identifier: GPL-3.0-or-later
"""A soak from its first instance to its count."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import heapq
import json
import threading
import time
import typing as t
import urllib.error
from pathlib import Path

from botocore.exceptions import ClientError

from campaign.soak import blows, requests
from campaign.soak.count import Count, Seen, Sent, count
from campaign.soak.notes import read as read_notes
from campaign.soak.planted import NOTES
from campaign.soak.requests import Request
from campaign.soak.site import Site, planted_source, worker_lines
from scripts.rehearsal.background import Background
from scripts.rehearsal.stage import DemoFailed
from scripts.rehearsal.traffic import wait_until

_NEVER = threading.Event()
_TICK = 0.1
_QUIET = 5
"""Looks at an empty queue in a row, half a second apart: what is counted there is approximate."""


@dataclasses.dataclass(frozen=True)
class Options:
    """How large, how long, and with which chances."""

    requests: int = 2000
    workers: int = 8
    digits: int = 2
    """So many of the workers draw with the digits model, the others with the ``noop`` engine."""
    seed: int = 0
    seconds: float = 420.0
    """How long requests are sent."""
    patience: float = 300.0
    """How long the last ones may take after that."""
    noop_ms: int = 150
    hang_seconds: float = 10.0
    visibility_seconds: int = 10
    drawn_twice: float = 0.02
    """The share of requests that may be drawn twice."""


class Sender(Background):
    """The clients: they send what is planned when it is due."""

    def __init__(self, site: Site, planned: t.Sequence[Request], seconds: float) -> None:
        super().__init__("sender")
        self._site = site
        self._message_ids: dict[int, list[str]] = {request.number: [] for request in planned}
        self._planned = {request.number: request for request in planned}
        self._due = [(request.at * seconds, request.number) for request in planned]
        self._due += [(request.at * seconds + late, request.number) for request in planned for late in request.copies]
        heapq.heapify(self._due)

    def work(self) -> None:
        """Send everything, in its time."""
        began = time.monotonic()
        while self._due:
            at, number = heapq.heappop(self._due)
            _NEVER.wait(max(0.0, began + at - time.monotonic()))
            answer = self._site.sqs.send_message(QueueUrl=self._site.tasks, MessageBody=self._planned[number].body)
            self._message_ids[number].append(answer["MessageId"])

    def sent(self) -> list[Sent]:
        """What the queue has taken."""
        return [Sent(self._planned[number], tuple(ids)) for number, ids in self._message_ids.items() if ids]


class Chaos(Background):
    """Everything that goes wrong meanwhile."""

    def __init__(self, site: Site, options: Options) -> None:
        super().__init__("chaos")
        self._site = site
        self._blows = collections.deque(blows.schedule(options.seconds, options.seed))
        self._open = False
        self.ills = blows.Ills(options.seed, site.dead_letter_queue)
        self.dealt: dict[str, int] = {}
        self.missed: list[str] = []

    def work(self) -> None:
        """Deal the blows in their time, and renew the faults; at the end everything works again."""
        began, renewed = time.monotonic(), 0.0
        try:
            while self._blows or self._open:
                now = time.monotonic() - began
                if now - renewed >= blows.RENEW_SECONDS:
                    renewed = now
                    self._site.post("faults", self.ills.draw())
                    self._follow_refreshes()
                if self._blows and now >= self._blows[0].at:
                    self._deal(self._blows.popleft())
                _NEVER.wait(_TICK)
        finally:
            self._site.post("faults", [])

    def _deal(self, blow: blows.Blow) -> None:
        try:
            self._hit(blow)
            self.dealt[blow.kind] = self.dealt.get(blow.kind, 0) + 1
        except self._site.autoscaling.exceptions.InstanceRefreshInProgressFault:
            return  # the one before it takes its time on a busy machine
        except (ClientError, urllib.error.HTTPError) as refused:
            self.missed.append(f"{blow.kind}: {refused}")

    def _hit(self, blow: blows.Blow) -> None:
        if blow.kind == "refresh":
            self._site.refresh(self._site.groups[int(blow.pick * len(self._site.groups))])
            self._site.set_status("in-progress")
            self._open = True
            return
        serving = self._site.instances()
        if not serving:
            return
        instance = serving[int(blow.pick * len(serving))]
        if blow.kind == "termination":
            self._site.terminate(instance)
            return
        action = {"kill -9": "kill", "SIGTERM": "restart", "Spot notice": "spot-notice"}[blow.kind]
        self._site.post(f"instances/{instance}/{action}")

    def _follow_refreshes(self) -> None:
        if self._open and not any(self._site.refreshing(group) for group in self._site.groups):
            self._open = False
            self._site.set_status("stable")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The count, what was dealt, and how long it took."""

    count: Count
    dealt: t.Mapping[str, int]
    ills: t.Mapping[str, int]
    sent_messages: int
    seconds: float
    workers_started: int
    jobs: t.Mapping[str, int]


def soak(endpoint: str, state: Path, options: Options) -> Outcome:
    """Set up a fleet behind that endpoint, soak it, and count."""
    site = Site(endpoint, "soak")
    notes = state / "notes"
    notes.touch()
    site.prepare(planted_source(state / "source"))
    _add_groups(site, notes, options)
    site.wait_in_service()
    planned = requests.plan(options.requests, options.seed)
    sender, chaos = Sender(site, planned, options.seconds), Chaos(site, options)
    began = time.monotonic()
    for thread in (sender, chaos):
        thread.start()
    for thread in (sender, chaos):
        thread.join(options.seconds + options.patience)
        if thread.error is not None or thread.is_alive():
            raise RuntimeError(f"the {thread.name} did not get through: {thread.error}")
    _wait_quiet(site, options.patience)
    seconds = time.monotonic() - began
    sent = sender.sent()
    made = count(sent, _look(site, notes), options.drawn_twice)
    lines = worker_lines(state)
    made.wrong += chaos.missed + _broken(lines)
    return Outcome(
        made,
        chaos.dealt,
        chaos.ills.asked,
        sum(len(one.message_ids) for one in sent),
        seconds,
        sum(line.get("message") == "started" for line in lines),
        collections.Counter(str(line["outcome"]) for line in lines if line.get("event") == "job"),
    )


def _add_groups(site: Site, notes: Path, options: Options) -> None:
    common = {
        NOTES: str(notes),
        "SD_VISIBILITY_SECONDS": str(options.visibility_seconds),
        "SD_HANG_SECONDS": str(options.hang_seconds),
    }
    site.add_group("noop", options.workers - options.digits, **common, SD_NOOP_MS=str(options.noop_ms))
    if options.digits:
        site.add_group("diffusers", options.digits, **common)


def _wait_quiet(site: Site, seconds: float) -> None:
    """Until nothing is left, or nothing more can be hoped for: what is left is counted as stuck."""
    looks: collections.deque[int] = collections.deque(maxlen=_QUIET)

    def quiet() -> bool:
        looks.append(site.left())
        return len(looks) == _QUIET and not any(looks)

    try:
        wait_until("an empty queue", quiet, seconds, every=0.5)
    except DemoFailed:
        return


def _look(site: Site, notes: Path) -> Seen:
    writes = site.result_versions()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = dict(zip(writes, pool.map(site.result, writes), strict=True))
    dead = site.take_all(site.dead)
    return Seen(
        results,
        writes,
        site.pictures(),
        collections.Counter(_notice_id(message) for message in site.take_all(site.notices)),
        collections.Counter(_dead_id(message) for message in dead),
        site.left(),
        collections.Counter(note.number for note in read_notes(notes, "drawn")),
    )


def _notice_id(message: t.Mapping[str, t.Any]) -> str:
    return str(json.loads(json.loads(message["Body"])["Message"])["id"])


def _dead_id(message: t.Mapping[str, t.Any]) -> str:
    given = message.get("MessageAttributes") or {}
    return str((given.get("request_id") or {}).get("StringValue") or f"message {message['MessageId']}")


def _broken(lines: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """What no worker may ever say, whatever happens to it."""
    said = collections.Counter(
        f"{line['message']}: {line.get('error', '')}"[:300]
        for line in lines
        if line.get("message") in ("thread ended", "cannot draw")
    )
    return [f"{times} × {text}" for text, times in said.items()]
