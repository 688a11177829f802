# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m campaign.soak``: real workers killed, terminated, refreshed and restarted under requests of every kind,
while SQS and S3 answer with throttles, 5xx, delays and lost replies. Prints what became of each; status 1 when anything
is not as it must be.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import signal
import sys
import typing as t

from campaign.soak.run import Options, Outcome, soak
from scripts.rehearsal.stage import ROOT, LocalAws, free_port

OUT = ROOT / "build" / "soak"


def report(options: Options, outcome: Outcome) -> list[str]:
    """The figures, as a Markdown table."""
    rows = {
        "requests / messages sent": f"{options.requests} / {outcome.sent_messages}",
        "workers (of them with the digits model)": f"{options.workers} ({options.digits})",
        "seed": str(options.seed),
        **outcome.count.figures,
        "job log lines": _listed(outcome.jobs),
        "done to workers": _listed(outcome.dealt),
        "worker processes started": str(outcome.workers_started),
        "faults of AWS": _listed(outcome.ills),
        "from the first request to an empty queue": f"{outcome.seconds:.0f} s",
    }
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]


def _listed(numbers: t.Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {number}" for name, number in sorted(numbers.items()))


def _options(argv: t.Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m campaign.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=Options.requests)
    parser.add_argument("--workers", type=int, default=Options.workers)
    parser.add_argument("--digits", type=int, default=Options.digits, help="so many of the workers draw digits")
    parser.add_argument("--seed", type=int, default=Options.seed)
    parser.add_argument("--minutes", type=float, default=Options.seconds / 60, help="how long requests are sent")
    given = parser.parse_args(argv)
    return Options(given.requests, given.workers, given.digits, given.seed, given.minutes * 60)


def main(argv: t.Sequence[str] | None = None) -> int:
    """Run a soak; the exit status."""
    signal.signal(signal.SIGTERM, lambda *_unused: sys.exit(143))  # so that the server is stopped then too
    options = _options(argv)
    with LocalAws(free_port(), OUT, "diffusers" if options.digits else "noop") as aws:
        outcome = soak(aws.endpoint, OUT, options)
    print(f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {os.cpu_count()} cores")
    print("\n".join(report(options, outcome)))
    for text in outcome.count.wrong[:40]:
        print(f"WRONG {text}")
    print(f"{len(outcome.count.wrong)} wrong" if outcome.count.wrong else "all held")
    return 1 if outcome.count.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
