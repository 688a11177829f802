# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m campaign.drains``: 100 workers told to go in the middle of a job, by SIGTERM or their termination hook.

A job that can finish by the deadline is finished where it was begun: none is begun twice. What a worker holds and has
not begun goes back at once and is drawn elsewhere. Prints the figures; status 1 when a job was begun twice.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import datetime as dt
import json
import os
import random
import signal
import statistics
import sys
import threading
import time
import typing as t
from pathlib import Path

from campaign.soak.notes import Note, read
from campaign.soak.planted import NOTES
from campaign.soak.site import Site, planted_source
from scripts.rehearsal.stage import ROOT, LocalAws, free_port
from scripts.rehearsal.traffic import wait_until

OUT = ROOT / "build" / "drains"
WORKERS = 4
JOB_MS = 1500
BATCH = 2
JOBS_OF_ONE = 4
"""Jobs sent for each worker and round: while two are drawn, others wait, in the queue and in the worker's hands."""
SETTINGS = {"SD_MAX_BATCH": str(BATCH), "SD_HOOK_POLL_SECONDS": "0.3"}
_NEVER = threading.Event()


@dataclasses.dataclass(frozen=True)
class Drain:
    """One worker told to go while it drew that request."""

    kind: str
    number: int
    pid: int
    at: float


@dataclasses.dataclass
class Tally:
    """What came of all drains."""

    finished: dict[str, int] = dataclasses.field(default_factory=lambda: {"SIGTERM": 0, "termination": 0})
    late: int = 0
    """The job had ended when the worker learned of it: no drain in the middle of a job."""
    jobs: int = 0
    wrong: list[str] = dataclasses.field(default_factory=list)
    waits: list[float] = dataclasses.field(default_factory=list)
    """Seconds from the drain to the end of the job in hand."""


class Drains:
    """A fleet of four, drained again and again."""

    def __init__(self, site: Site, notes: Path, seed: int) -> None:
        self._site = site
        self._notes = notes
        self._chance = random.Random(seed)
        self._sent = 0
        self.tally = Tally()

    def round(self, kind: str, count: int) -> None:
        """Give every worker something to do, tell so many of them to go, and look how it ended."""
        self._site.wait_in_service()
        numbers = [self._send() for _unused in range(WORKERS * JOBS_OF_ONE)]
        # Not all four: a worker that has just come back may still be warming up.
        wait_until("jobs in some workers' hands", lambda: len(self._in_hand(numbers)) >= WORKERS // 2, 60, 0.05)
        _NEVER.wait(self._chance.random() * JOB_MS / 1000 * 0.7)
        drains = [self._drain(kind, note) for note in self._in_hand(numbers)[:count]]
        wait_until("the results of a round", self._answered, 120, 0.25)
        self._judge(numbers, drains)

    def _send(self) -> int:
        self._sent += 1
        payload = {"prompt": f"a red three #{self._sent}", "steps": 15, "width": 32, "height": 32}
        request = {"id": f"job-{self._sent}", "api": "/sdapi/v1/txt2img", "payload": payload}
        self._site.sqs.send_message(QueueUrl=self._site.tasks, MessageBody=json.dumps(request))
        return self._sent

    def _in_hand(self, numbers: t.Sequence[int]) -> list[Note]:
        """What is being drawn now; one of each worker."""
        begun = {note.number: note for note in read(self._notes, "begun") if note.number in numbers}
        for note in read(self._notes, "drawn"):
            begun.pop(note.number, None)
        return list({note.pid: note for note in begun.values()}.values())

    def _drain(self, kind: str, note: Note) -> Drain:
        at = time.time()
        if kind == "SIGTERM":
            self._site.post(f"instances/{note.instance}/restart")
        else:
            self._site.terminate(note.instance)
        return Drain(kind, note.number, note.pid, at)

    def _answered(self) -> bool:
        return len(self._site.result_versions()) >= self._sent and self._site.left() == 0

    def _judge(self, numbers: t.Sequence[int], drains: t.Sequence[Drain]) -> None:
        begun, drawn = (collections.Counter(n.number for n in read(self._notes, word)) for word in ("begun", "drawn"))
        ends = {note.number: note for note in read(self._notes, "drawn")}
        self.tally.jobs += len(numbers)
        for number in numbers:
            result = self._site.result(f"job-{number}")
            if (begun[number], drawn[number], result["status"]) != (1, 1, "succeeded"):
                text = f"job-{number}: begun {begun[number]}, drawn {drawn[number]} times, {result['status']}"
                self.tally.wrong.append(text)
        for drain in drains:
            self._judge_drain(drain, ends.get(drain.number))

    def _judge_drain(self, drain: Drain, end: Note | None) -> None:
        if end is None or end.pid != drain.pid:
            self.tally.wrong.append(f"job-{drain.number}: not finished by the worker that was sent {drain.kind}")
        elif end.at < drain.at:
            self.tally.late += 1
        else:
            self.tally.finished[drain.kind] += 1
            self.tally.waits.append(end.at - drain.at)


def run(endpoint: str, state: Path, each: int, seed: int) -> Tally:
    """So many drains of each kind."""
    site = Site(endpoint, "drains")
    notes = state / "notes"
    notes.touch()
    site.prepare(planted_source(state / "source"))
    site.add_group("noop", WORKERS, **{NOTES: str(notes)}, SD_NOOP_MS=str(JOB_MS), **SETTINGS)
    drains = Drains(site, notes, seed)
    for kind in ("SIGTERM", "termination"):
        while (missing := each - drains.tally.finished[kind]) > 0 and len(drains.tally.wrong) < each:
            drains.round(kind, min(missing, WORKERS - 1))
    return drains.tally


def main(argv: t.Sequence[str] | None = None) -> int:
    """Drain, and print; the exit status."""
    signal.signal(signal.SIGTERM, lambda *_unused: sys.exit(143))  # so that the server is stopped then too
    parser = argparse.ArgumentParser(prog="python -m campaign.drains", description=__doc__)
    parser.add_argument("--each", type=int, default=50, help="drains of each kind")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    began = time.monotonic()
    with LocalAws(free_port(), OUT, "noop") as aws:
        tally = run(aws.endpoint, OUT, given.each, given.seed)
    print(f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {os.cpu_count()} cores, seed {given.seed}")
    for kind, finished in tally.finished.items():
        print(f"{kind} in the middle of a job: {finished} finished where they were begun")
    if tally.waits:
        print(f"left of the job: {statistics.median(tally.waits):.2f} s (median), {max(tally.waits):.2f} s at most")
    print(f"jobs in all: {tally.jobs}; drains that came after the job's end, and were repeated: {tally.late}")
    print(f"jobs begun twice or not finished where they were begun: {len(tally.wrong)}")
    print(*tally.wrong, sep="\n", end="\n" if tally.wrong else "")
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
