# SPDX-License-Identifier: Apache-2.0
"""Outlives the server by a moment: when its input ends, whatever the cause, it removes the server's containers."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from local_aws.runner.base import RunnerError
from local_aws.runner.engine import Engine, remove_all

DONE = b"done"
"""The server's last word where nothing can have been left."""
ROUNDS = 5
PAUSE_SECONDS = 1.0


def main() -> int:
    """Wait for the end, then remove; a container that was being made meanwhile is found in a later round."""
    config, owner = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    print("guarding", flush=True)
    rounds = 1 if sys.stdin.buffer.read() == DONE else ROUNDS
    engine, status = Engine(Path(config)), 0
    for left in reversed(range(rounds)):
        try:
            remove_all(engine, owner)
            status = 0
        except RunnerError as problem:
            print(problem, file=sys.stderr)
            status = 1
        if left:
            threading.Event().wait(PAUSE_SECONDS)
    return status


if __name__ == "__main__":
    sys.exit(main())
