# SPDX-License-Identifier: GPL-3.0-or-later
"""A log of many pages: each line is read once, and while they are read the run does not look dead."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import json
import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._release.jobs import LATE, JobLog, read_jobs
from ansible_collections.diffusion.fleet.plugins.module_utils._release.module import run_release
from tests.support.fleet import TIMING, Fleet


@dataclasses.dataclass
class SlowLogs:
    """An account whose pages of the log are small and take their time."""

    fleet: Fleet
    size: int
    seconds: float = 0
    read: list[int] = dataclasses.field(default_factory=list)
    """Events of each page."""
    broken: int = 0
    """Number of the page that does not come; 0 for none."""

    def client(self, service: str) -> t.Any:
        """The log itself or a client of the harness."""
        return self if service == "logs" else self.fleet.client(service)

    @property
    def exceptions(self) -> t.Any:
        """Of the client."""
        return self.fleet.client("logs").exceptions

    def filter_log_events(self, **asked: t.Any) -> dict[str, t.Any]:
        """One small page, after a while."""
        if self.seconds:
            self.fleet.sleep(self.seconds)
        if self.broken and len(self.read) + 1 == self.broken:
            raise ConnectionError
        page: dict[str, t.Any] = self.fleet.client("logs").filter_log_events(limit=self.size, **asked)
        self.read.append(len(page["events"]))
        return page


def write(fleet: Fleet, at: dt.datetime, sequence: int, release_id: str = "aaaaaaaaaaaa") -> None:
    """One line of the past, that arrives now."""
    line = {"event": "job", "release_id": release_id, "instance_id": "i-1", "outcome": "succeeded"}
    event = {"timestamp": int(at.timestamp() * 1000), "message": json.dumps({**line, "sequence": sequence})}
    fleet.client("logs").put_log_events(
        logGroupName=fleet.names.log_group, logStreamName="simulated", logEvents=[event]
    )


def test_what_is_kept_and_read_on_is_what_a_fresh_run_reads(fleet: Fleet) -> None:
    slow, start = SlowLogs(fleet, size=10), fleet.now()
    log, stable = JobLog(slow, fleet.names.log_group), fleet.ledger.stable
    assert stable is not None
    for look in range(20):
        fleet.sleep(60)
        ours = log.jobs(stable.release_id, start, lambda: None)
        assert ours == read_jobs(fleet.client("logs"), fleet.names.log_group, stable.release_id, start, None)
        assert len(ours) > look
    spent = len(slow.read)
    log.jobs(stable.release_id, start, lambda: None)
    assert (len(slow.read) - spent) * 10 <= len(ours) / 3, "the last five minutes of twenty are read again"


@pytest.mark.parametrize("broken", [0, 2])
def test_a_line_that_arrives_late_or_after_a_broken_reading_counts_once(fleet: Fleet, broken: int) -> None:
    start = fleet.now()
    fleet.sleep(600)
    slow = SlowLogs(fleet, size=2, broken=broken)
    log = JobLog(slow, fleet.names.log_group)
    for sequence in range(3, 8):
        write(fleet, fleet.now() - dt.timedelta(seconds=60 - sequence), sequence)
    if broken:
        with pytest.raises(ConnectionError):
            log.jobs("aaaaaaaaaaaa", start, lambda: None)
        slow.broken = 0
    else:
        assert len(log.jobs("aaaaaaaaaaaa", start, lambda: None)) == 5
    write(fleet, fleet.now() - dt.timedelta(milliseconds=LATE), 2)
    assert [job.sequence for job in log.jobs("aaaaaaaaaaaa", start, lambda: None)] == [2, 3, 4, 5, 6, 7]


def test_a_clock_that_is_ahead_hides_nothing(fleet: Fleet) -> None:
    start = fleet.now()
    log = JobLog(fleet, fleet.names.log_group)
    write(fleet, fleet.now() + dt.timedelta(hours=1), 9)
    log.jobs("aaaaaaaaaaaa", start, lambda: None)
    fleet.sleep(30)
    write(fleet, fleet.now(), 8)
    assert [job.sequence for job in log.jobs("aaaaaaaaaaaa", start, lambda: None)] == [8, 9]


def test_a_reading_that_outlasts_the_gate_and_the_lock_costs_neither(fleet: Fleet) -> None:
    fleet.timing = {**TIMING, "poll": 5, "inconclusive_limit": 600}
    fleet.sleep(180)
    slow = SlowLogs(fleet, size=15, seconds=5)
    result = run_release(
        slow, fleet.params(version="1.1.0", percentage="100", hold=86400.0), check_mode=False, clock=fleet
    )
    assert (result["outcome"], fleet.versions()) == ("succeeded", ["1.1.0"] * 5)
    ends = [0, *(number for number, events in enumerate(slow.read, 1) if events < slow.size)]
    longest = max(end - begin for begin, end in itertools.pairwise(ends)) * slow.seconds
    assert longest > TIMING["lock_expiry"] > TIMING["gate_period"] * TIMING["gate_periods"]
