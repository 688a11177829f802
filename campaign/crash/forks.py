# SPDX-License-Identifier: GPL-3.0-or-later
"""Forks as snapshots of a whole world: what a child does to its copy of it, nobody else sees."""

from __future__ import annotations

import gc
import json
import os
import sys
import typing as t

from campaign.findings import outcome


class Nursery:
    """At most so many children at once; what they report comes back in the order in which they end."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._children: set[int] = set()
        self._lost = 0
        self._reports = os.memfd_create("reports")

    def fork(self) -> bool:
        """True in the child, which must end with ``report``."""
        while len(self._children) >= self._jobs:
            self._wait()
        gc.freeze()  # nobody's collection shall go through, or copy, the pages that all children share
        child = os.fork()
        if child:
            self._children.add(child)
        return not child

    def report(self, value: t.Any) -> t.NoReturn:
        """In a child: hand that over, and end."""
        os.write(self._reports, (json.dumps(value) + "\n").encode())  # all share one offset: appended whole
        os._exit(0)

    def reports(self) -> list[t.Any]:
        """Everything that was reported, once every child has ended; asked for once.

        Raises: RuntimeError when one ended without a report.
        """
        while self._children:
            self._wait()
        if self._lost:
            raise RuntimeError(f"{self._lost} processes ended without a report")
        os.lseek(self._reports, 0, os.SEEK_SET)
        with os.fdopen(self._reports) as lines:
            return [json.loads(line) for line in lines]

    def _wait(self) -> None:
        child, status = os.waitpid(-1, 0)
        self._children.discard(child)
        self._lost += status != 0


def elsewhere(function: t.Callable[[], t.Any]) -> t.Any:
    """What the function answers in a copy of this process; here nothing happens."""
    nursery = Nursery(1)
    if nursery.fork():
        answer, error = outcome(function)
        if error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
        nursery.report(answer)
    return nursery.reports()[0]
