# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m campaign.flat``: memory, threads and open files of one worker process over 10,000 jobs.

Sampled after a warm-up, each time when the queue has run empty: what is in hand has threads and connections of its own.
Each sample has to stay within 5 % of their median. Status 1 when it does not.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import os
import signal
import statistics
import sys
import threading
import time
import typing as t
from pathlib import Path

from campaign.soak.notes import parse
from campaign.soak.planted import NOTES
from campaign.soak.site import Site, planted_source
from scripts.rehearsal.stage import ROOT, LocalAws, free_port
from scripts.rehearsal.traffic import wait_until

OUT = ROOT / "build" / "flat"
ALLOWED = 0.05
WARM_UP = 0.1
"""The share of the jobs after which samples are taken."""
AHEAD = 200
"""Requests that wait in the queue."""
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LOOKS = 20
_NEVER = threading.Event()


@dataclasses.dataclass(frozen=True)
class Sample:
    """The worker process at one moment."""

    jobs: int
    rss_mib: float
    threads: int
    files: int


def sample(pid: int, jobs: int) -> Sample:
    """Look at a process for two seconds. What comes and goes, for a metric say, is not held: the least counts."""
    process, threads, files = Path(f"/proc/{pid}"), [], []
    for _unused in range(_LOOKS):
        threads.append(len(list((process / "task").iterdir())))
        files.append(len(list((process / "fd").iterdir())))
        _NEVER.wait(2 / _LOOKS)
    pages = int((process / "statm").read_text(encoding="ascii").split()[1])
    return Sample(jobs, pages * _PAGE / 2**20, min(threads), min(files))


def spread(values: t.Sequence[float]) -> float:
    """How far the farthest sample lies from their median, as a share of it."""
    middle = statistics.median(values)
    return max(abs(value - middle) for value in values) / middle


class Line:
    """One worker, and a queue that is kept filled between two samples."""

    def __init__(self, site: Site, notes: Path) -> None:
        self._site = site
        self._notes = notes.open(encoding="utf-8")
        self._sent = 0
        self._pids: set[int] = set()
        self.done = 0

    @property
    def pid(self) -> int:
        """The worker process. Raises RuntimeError when it was not one and the same."""
        if len(self._pids) != 1:
            raise RuntimeError(f"the worker was started again on the way: {sorted(self._pids)}")
        return next(iter(self._pids))

    def draw(self, jobs: int) -> None:
        """Have so many more jobs drawn, and wait until nothing is in hand."""
        goal = self.done + jobs
        while self.done < goal:
            self._fill(goal)
            wait_until("more jobs", self._progressed, 120, 0.1)
        wait_until("an empty queue", lambda: self._site.left() == 0, 120, 0.2)

    def _fill(self, most: int) -> None:
        while self._sent - self.done < AHEAD and self._sent < most:
            count = min(10, most - self._sent)
            entries = [{"Id": str(place), "MessageBody": self._request()} for place in range(count)]
            self._site.sqs.send_message_batch(QueueUrl=self._site.tasks, Entries=entries)

    def _request(self) -> str:
        self._sent += 1
        payload = {"prompt": f"a red three #{self._sent}", "steps": 4, "width": 32, "height": 32}
        return json.dumps({"id": f"job-{self._sent}", "api": "/sdapi/v1/txt2img", "payload": payload})

    def _progressed(self) -> bool:
        before = self.done
        drawn = [note for note in map(parse, self._notes) if note.word == "drawn"]
        self.done += len(drawn)
        self._pids |= {note.pid for note in drawn}
        return self.done > before


def run(endpoint: str, state: Path, jobs: int, samples: int) -> list[Sample]:
    """Draw so many jobs on one worker; its samples after the warm-up."""
    site = Site(endpoint, "flat")
    notes = state / "notes"
    notes.touch()
    site.prepare(planted_source(state / "source"))
    site.add_group("noop", 1, **{NOTES: str(notes)}, SD_NOOP_MS="0")
    site.wait_in_service()
    line, warm = Line(site, notes), round(jobs * WARM_UP)
    line.draw(warm)
    taken = [sample(line.pid, line.done)]
    for _unused in range(samples):
        line.draw((jobs - warm) // samples)
        taken.append(sample(line.pid, line.done))
    return taken


def report(taken: t.Sequence[Sample]) -> list[str]:
    """The samples, and which of the three is not flat."""
    print("| jobs | RSS, MiB | threads | open files |\n|---|---|---|---|")
    for one in taken:
        print(f"| {one.jobs} | {one.rss_mib:.1f} | {one.threads} | {one.files} |")
    spreads = {name: spread([getattr(one, name) for one in taken]) for name in ("rss_mib", "threads", "files")}
    print(", ".join(f"{name} ± {share:.1%}" for name, share in spreads.items()))
    return [f"{name} is not flat: ± {share:.1%}" for name, share in spreads.items() if share > ALLOWED]


def main(argv: t.Sequence[str] | None = None) -> int:
    """Draw, sample and print; the exit status."""
    signal.signal(signal.SIGTERM, lambda *_unused: sys.exit(143))  # so that the server is stopped then too
    parser = argparse.ArgumentParser(prog="python -m campaign.flat", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=20)
    given = parser.parse_args(argv)
    began = time.monotonic()
    with LocalAws(free_port(), OUT, "noop") as aws:
        taken = run(aws.endpoint, OUT, given.jobs, given.samples)
    print(f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {os.cpu_count()} cores")
    wrong = report(taken)
    print(f"{'; '.join(wrong) or 'flat'}; {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
