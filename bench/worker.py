# SPDX-License-Identifier: GPL-3.0-or-later
"""`make bench-worker`: the worker, the loop that everybody writes first, and three model servers, on the digits model.

All in one run on this machine, one after the other, in several rounds: a table of jobs a second, of milliseconds a job
beyond the pipeline call, and of the idle share of the thread that draws. The queue's sides work against local_aws on
the same processors; the servers are asked over HTTP by as many clients as keep them busy. The servers get an
environment of their own under build/bench, which draws with the worker's libraries. Calls on loopback are far quicker
than any region's: ``--call-ms`` makes SQS and S3 answer later.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import statistics
import subprocess
import sys
import typing as t

from bench.controller import as_table
from bench.sides import metadata
from bench.worker_sides import OUT, PEERS, WORKER_PYTHON, Measured, bare, naive, server, worker
from scripts.rehearsal import admin
from scripts.rehearsal.stage import LocalAws, free_port

PACKAGES = ("litserve==0.2.19", "mosec==0.9.8", "ray[serve]==2.60.0")
AT_ONCE = 8


@dataclasses.dataclass(frozen=True)
class Side:
    """Something that draws requests."""

    name: str
    measure: t.Callable[[int], Measured]


def sides(endpoint: str) -> list[Side]:
    """All of them, the pipeline by itself first."""
    imds = metadata.serve()
    return [
        Side("pipeline alone", bare),
        Side("naive loop", lambda jobs: naive(endpoint, jobs)),
        Side("this worker, one at a time", lambda jobs: worker(endpoint, imds, 1, jobs)),
        Side("this worker, batching", lambda jobs: worker(endpoint, imds, AT_ONCE, jobs)),
        *(
            Side(f"{name}, {how}", functools.partial(server, name, at_once))
            for name in ("litserve", "mosec", "ray")
            for how, at_once in (("one at a time", 1), ("batching", AT_ONCE))
        ),
    ]


def slow_down(endpoint: str, call_ms: float) -> None:
    """From now on answer each call of SQS and S3 so much later, as a region does."""
    late = [{"kind": "delay", "service": service, "seconds": call_ms / 1000} for service in ("sqs", "s3")]
    admin.set_faults(endpoint, *(late if call_ms else ()))


def install_peers() -> None:
    """The model servers in an environment that also finds the worker's libraries; there already is fine."""
    if (PEERS / "installed").exists():
        return
    subprocess.run([str(WORKER_PYTHON), "-m", "venv", "--without-pip", "--clear", str(PEERS)], check=True)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    libraries, own = (
        subprocess.run([str(python), "-c", where], check=True, capture_output=True, text=True).stdout.strip()
        for python in (WORKER_PYTHON, PEERS / "bin" / "python")
    )
    with open(f"{own}/worker.pth", "w", encoding="utf-8") as path:
        path.write(libraries + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(PEERS / "bin/python"), "install", "--quiet", *PACKAGES]
    subprocess.run(pip, check=True)
    (PEERS / "installed").write_text("\n".join(PACKAGES))


def table(measured: t.Mapping[str, t.Sequence[Measured]]) -> str:
    """Medians over the rounds, with the least and the most of the jobs a second."""
    call = statistics.median(one.busy_ms for one in measured["pipeline alone"])
    naive_rate = statistics.median(one.rate for one in measured["naive loop"])
    rows = [
        ["side", "jobs/s (least to most)", "× naive loop", "ms a job", "beyond the call alone", "idle ms a job", "idle"]
    ]
    for name, rounds in measured.items():
        rates = [one.rate for one in rounds]
        rate = statistics.median(rates)
        ms, idle = 1000 / rate, statistics.median(one.idle_ms for one in rounds)
        share = statistics.median(one.idle for one in rounds)
        span = f"{rate:.1f} ({min(rates):.1f} to {max(rates):.1f})"
        cells = [f"{rate / naive_rate:.2f}", f"{ms:.1f}", f"{ms - call:+.1f}", f"{idle:.2f}", f"{share:.1%}"]
        rows.append([name, span, *cells])
    return as_table(rows)


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=100, help="of each side in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--call-ms", type=float, default=0.0, help="how much later than on loopback SQS and S3 answer")
    parser.add_argument("--only", default="", help="sides whose name holds this, and the first two")
    options = parser.parse_args(arguments)
    install_peers()
    measured: dict[str, list[Measured]] = {}
    with LocalAws(free_port(), OUT / "local_aws", "noop") as aws:
        for number in range(options.rounds):
            for index, side in enumerate(sides(aws.endpoint)):
                if index < 2 or options.only in side.name:
                    slow_down(aws.endpoint, options.call_ms)
                    one = side.measure(options.jobs)
                    measured.setdefault(side.name, []).append(one)
                    print(f"round {number + 1}: {side.name}: {one}", file=sys.stderr, flush=True)
    print("\n" + table(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
