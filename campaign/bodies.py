# SPDX-License-Identifier: GPL-3.0-or-later
"""`make fuzz-bodies`: what the worker makes of thousands of bodies, good and bad.

Runs in the worker's environment. All of them go from their bytes to a decision in this process, in several child
processes' time if there are processors for it; some hundreds then go through a real queue to a real worker, behind an
endpoint that notes every call. It prints a table and ends with status 1 when anything is not as it must be.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import itertools
import resource
import sys
import tempfile
import time
import typing as t
import uuid
from pathlib import Path

from api_scheduler.documents.envelope import InvalidRequest
from tests.worker.bodies import many, requests, through_queue
from tests.worker.bodies.judge import judge
from tests.worker.bodies.tap import Canary
from tests.worker.harness import Deployment, local_aws

_SHOWN = 30
_QUEUE_SEED = 1_000_000


@dataclasses.dataclass
class Tally:
    """What was counted in this process."""

    kinds: collections.Counter[tuple[str, str]] = dataclasses.field(default_factory=collections.Counter)
    problems: list[str] = dataclasses.field(default_factory=list)
    slowest: float = 0.0
    bytes: int = 0

    def add(self, body: requests.Body) -> None:
        """Decide on one body."""
        verdict = judge(body)
        self.kinds[body.kind, "refused" if isinstance(verdict.outcome, InvalidRequest) else "drawn"] += 1
        self.slowest = max(self.slowest, verdict.seconds)
        self.bytes += len(body.data)
        self.problems += [f"{body.kind}: {problem}: {body.data[:300]!r}" for problem in verdict.problems]

    def table(self) -> str:
        """Bodies by kind."""
        rows = ["| kind | bodies | drawn | refused |", "|---|---:|---:|---:|"]
        for kind in sorted({kind for kind, _outcome in self.kinds}):
            drawn, refused = self.kinds[kind, "drawn"], self.kinds[kind, "refused"]
            rows.append(f"| {kind} | {drawn + refused} | {drawn} | {refused} |")
        return "\n".join(rows)


def in_process(count: int, seed: int) -> list[str]:
    """All of them through the decision; what is wrong."""
    began, tally, before = time.monotonic(), Tally(), _peak()
    for body in many.distinct(count, seed, requests.any_body()):
        tally.add(body)
    print(tally.table())
    print(
        f"{sum(tally.kinds.values())} distinct bodies, {tally.bytes / 1e6:.0f} MB, in one process: "
        f"{len(tally.problems)} problems; slowest decision {tally.slowest * 1000:.0f} ms of processor time; "
        f"peak memory {before:.0f} MB before, {_peak():.0f} MB after; {time.monotonic() - began:.0f} s"
    )
    return tally.problems


def through_the_queue(count: int, seed: int) -> list[str]:
    """Some through a real queue to a real worker; what is wrong."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, local_aws(Path(folder)) as endpoint, Canary() as canary:
        deployment = Deployment(endpoint, "f" + uuid.uuid4().hex[:10])
        bodies = requests.any_body(canary.url)
        sendable = filter(through_queue.carried, many.distinct(count * 3, seed + _QUEUE_SEED, bodies))
        outcome = through_queue.send_all(deployment, itertools.islice(sendable, count), 60 + count)
        problems = outcome.problems + [f"fetched {visit}" for visit in canary.visits]
    ends = ", ".join(f"{number} {status}" for status, number in outcome.statuses.most_common())
    print(
        f"{outcome.sent} through the queue: {ends}; {outcome.calls} calls of the worker, every one looked at; "
        f"{len(problems)} problems; {time.monotonic() - began:.0f} s"
    )
    return problems


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Print the figures; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="bodies decided in this process")
    parser.add_argument("--queue", type=int, default=400, help="bodies sent through a queue")
    parser.add_argument("--seed", type=int, default=1, help="another number makes other bodies")
    options = parser.parse_args(arguments)
    problems = in_process(options.count, options.seed) if options.count else []
    problems += through_the_queue(options.queue, options.seed) if options.queue else []
    print(*problems[:_SHOWN], sep="\n", end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
