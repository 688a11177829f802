# SPDX-License-Identifier: GPL-3.0-or-later
"""What drawing in the process that also talks to AWS costs, and what a process of its own would (decision 0026).

    PYTHONPATH=. BENCH_MODEL=worker_app/models/digits BENCH_STATS=build/bench/stats.json \\
        .venv/worker/bin/python -m bench.drawing_process

The pipeline call on the digits model, by turns with nothing beside it and with a thread that does for every call what
the worker does for a job: a PNG, and five calls of AWS, against a server in another process that answers at once.
Then a picture through a pipe between two processes.
"""

from __future__ import annotations

import contextlib
import http.server
import multiprocessing
import statistics
import threading
import time
import typing as t
from multiprocessing.connection import Connection

import botocore.session
import numpy as np

from bench.sides.pipeline import Pipeline, png

ROUNDS, CALLS = 20, 4
PICTURES, SIDES = 50, (512, 1024)


class Answers(http.server.BaseHTTPRequestHandler):
    """S3, as far as putting goes."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("ETag", '"0"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def serve(ready: Connection) -> None:
    """The server; its port goes through the pipe."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    ready.send(server.server_address[1])
    server.serve_forever()


class Beside:
    """The thread that does a job's other work, once for every call that is drawn."""

    def __init__(self, port: int) -> None:
        session = botocore.session.Session()
        session.set_credentials("bench", "local")
        self._s3 = session.create_client("s3", region_name="us-east-1", endpoint_url=f"http://127.0.0.1:{port}")
        self._due = threading.Semaphore(0)
        self._picture: t.Any = None
        threading.Thread(target=self._run, daemon=True).start()

    def settle(self, picture: t.Any) -> None:
        """One more job."""
        self._picture = picture
        self._due.release()

    def _run(self) -> None:
        while self._due.acquire():
            data = png(self._picture)
            for number in range(5):
                self._s3.put_object(Bucket="bucket", Key=f"results/{number}.png", Body=data)


def calls(pipeline: Pipeline, beside: Beside | None) -> list[float]:
    """Milliseconds of some calls."""
    found = []
    for seed in range(CALLS):
        before = pipeline.busy
        [picture] = pipeline.draw([{"prompt": "a red three", "seed": seed}])
        found.append((pipeline.busy - before) * 1000)
        if beside:
            beside.settle(picture)
    return found


def echo(pipe: Connection) -> None:
    """Sends every picture back."""
    with contextlib.suppress(EOFError):
        while True:
            pipe.send(pipe.recv())


def through_a_pipe(side: int) -> float:
    """Milliseconds of a processor on a picture's way into another process: what sending and receiving one take here."""
    ours, theirs = multiprocessing.Pipe()
    multiprocessing.Process(target=echo, args=(theirs,), daemon=True).start()
    picture, found = np.zeros((side, side, 3), dtype=np.uint8), []
    for _unused in range(PICTURES):
        began = time.process_time()
        ours.send(picture)
        ours.recv()
        found.append((time.process_time() - began) * 1000)
    return statistics.median(found)


def main() -> None:
    """Measure and print."""
    multiprocessing.set_start_method("spawn")
    ready, theirs = multiprocessing.Pipe()
    multiprocessing.Process(target=serve, args=(theirs,), daemon=True).start()
    pipeline, beside = Pipeline(), Beside(ready.recv())
    calls(pipeline, None)
    ratios, alone = [], []
    for _unused in range(ROUNDS):
        without, within = statistics.median(calls(pipeline, None)), statistics.median(calls(pipeline, beside))
        alone.append(without)
        ratios.append(within / without)
    quartiles = statistics.quantiles(ratios, n=4)
    print(f"a call alone: {statistics.median(alone):.1f} ms (median of {ROUNDS} rounds)")
    print(f"with a job's other work beside it: × {quartiles[1]:.3f} (quartiles {quartiles[0]:.3f}, {quartiles[2]:.3f})")
    for side in SIDES:
        print(f"a picture of {side} × {side} through a pipe: {through_a_pipe(side):.2f} ms of a processor")


if __name__ == "__main__":
    main()
