# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m campaign.predicts``: in so many random situations, does the run do what check mode said it would?"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
import typing as t

from campaign.crash.forks import Nursery
from campaign.crash.scenarios import warm_up
from campaign.findings import outcome
from tests.support.fleet import make_harness
from tests.support.predictions import Compared, compare


def main() -> int:
    """Compare, and print what differed."""
    parser = argparse.ArgumentParser(prog="campaign.predicts", description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    started, nursery = time.monotonic(), Nursery(options.jobs)
    warm_up()
    for seed in range(options.first, options.first + options.count):
        if nursery.fork():
            nursery.report([seed, dataclasses.asdict(_compare(seed))])
    rows = sorted(nursery.reports())
    different = [_tell(seed, row) for seed, row in rows]
    print(f"{len(rows)} situations, {len(rows) - sum(different)} as predicted, {time.monotonic() - started:.0f} s")
    return 1 if any(different) else 0


def _compare(seed: int) -> Compared:
    compared, error = outcome(lambda: compare(make_harness(), seed))
    return compared or Compared("no comparison", {}, "", "", [error])


def _tell(seed: int, row: t.Mapping[str, t.Any]) -> bool:
    """One line, and the differences; whether there are any."""
    wish = " ".join(f"{name}={value}" for name, value in row["wish"].items()) or "-"
    print(f"{seed:3d} {row['situation']:<40} {wish}")
    if row["differences"]:
        print(f"      said: {row['said']}\n      did:  {row['did']}")
        print(*(f"      - {difference}" for difference in row["differences"]), sep="\n")
    return bool(row["differences"])


if __name__ == "__main__":
    sys.exit(main())
