# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command costs: seconds on the clock, of the processor, and in calls of the AWS API that local_aws answered."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import json
import os
import subprocess
import time
import typing as t
import urllib.request


@dataclasses.dataclass(frozen=True)
class Call:
    """One answered call."""

    at: dt.datetime
    name: str
    seconds: float


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one command, or several in a row, came to."""

    wall: float = 0.0
    cpu: float = 0.0
    calls: tuple[Call, ...] = ()
    output: str = ""

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall + other.wall, self.cpu + other.cpu, self.calls + other.calls, self.output + other.output)

    @property
    def replies(self) -> float:
        """Seconds in which AWS worked and the caller waited for its reply."""
        return sum(call.seconds for call in self.calls)

    @property
    def busy(self) -> float:
        """Everything but waiting: processor time, and replies. Unlike the clock it knows no neighbours' load."""
        return self.cpu + self.replies

    def by_name(self) -> dict[str, int]:
        """How often each operation was called."""
        return dict(sorted(collections.Counter(call.name for call in self.calls).items()))


class Meter:
    """Measures commands against one local_aws, for the caller with one access key."""

    def __init__(self, endpoint: str, access_key: str, environment: t.Mapping[str, str]) -> None:
        self._endpoint = endpoint
        self._access_key = access_key
        self._environment = dict(environment)

    def run(self, command: t.Sequence[str], *, cwd: str, expect: int = 0) -> Cost:
        """Run a command to its end. Raises RuntimeError when it ends otherwise than expected."""
        since, began = dt.datetime.now(dt.UTC), time.monotonic()
        process = subprocess.Popen(command, cwd=cwd, env=self._environment, stdout=subprocess.PIPE, text=True)
        output = process.stdout.read() if process.stdout else ""
        _unused, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != expect:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{output[-3000:]}")
        wall = time.monotonic() - began
        return Cost(wall, usage.ru_utime + usage.ru_stime, self._calls(since), output)

    def _calls(self, since: dt.datetime) -> tuple[Call, ...]:
        with urllib.request.urlopen(f"{self._endpoint}/_local/calls", timeout=60) as reply:
            rows: list[dict[str, t.Any]] = json.load(reply)
        found = (
            Call(dt.datetime.fromisoformat(row["time"]), f"{row['service']}.{row['operation']}", row["seconds"])
            for row in rows
            if row["access_key"] == self._access_key
        )
        return tuple(call for call in found if call.at >= since)
