# SPDX-License-Identifier: GPL-3.0-or-later
"""Forks as snapshots of a whole world: what a child does to its copy of it, nobody else sees."""

from __future__ import annotations

import json
import os
import tempfile
import traceback
import typing as t


class Nursery:
    """At most so many children at once; what they report comes back in the order in which they end."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._children: set[int] = set()
        self._lost = 0
        self._file = tempfile.TemporaryFile("a+")  # noqa: SIM115  # open as long as the nursery is

    def fork(self) -> bool:
        """True in the child, which must end with ``report``."""
        while len(self._children) >= self._jobs:
            self._wait()
        child = os.fork()
        if child:
            self._children.add(child)
        return not child

    def report(self, value: t.Any) -> t.NoReturn:
        """In a child: hand that over, and end."""
        os.write(self._file.fileno(), (json.dumps(value) + "\n").encode())  # appended whole
        os._exit(0)

    def reports(self) -> list[t.Any]:
        """Everything that was reported, once every child has ended.

        Raises: RuntimeError when one ended without a report.
        """
        while self._children:
            self._wait()
        if self._lost:
            raise RuntimeError(f"{self._lost} processes ended without a report")
        self._file.seek(0)
        return [json.loads(line) for line in self._file]

    def _wait(self) -> None:
        child, status = os.waitpid(-1, 0)
        self._children.discard(child)
        self._lost += status != 0


def elsewhere(function: t.Callable[[], t.Any]) -> t.Any:
    """What the function answers in a copy of this process; here nothing happens."""
    nursery = Nursery(1)
    if nursery.fork():
        try:
            nursery.report(function())
        except Exception:  # noqa: BLE001  # whatever it was is told
            traceback.print_exc()
            os._exit(1)
    return nursery.reports()[0]
