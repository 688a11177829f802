# SPDX-License-Identifier: Apache-2.0
"""``python -m api_scheduler.probe``: is the worker in this container alive? For ``HEALTHCHECK`` and for people."""

from __future__ import annotations

import http.client
import os
import sys

_SECONDS = 8.0


def main() -> int:
    """Ask ``/health``; 0 where the answer is 200, else 1 with the reason on standard output."""
    port = os.environ.get("SD_HTTP_PORT") or "8080"
    problem = ask(port)
    print(problem or "alive")
    return 1 if problem else 0


def ask(port: str) -> str:
    """What is wrong with the worker on that port, nothing where it is alive."""
    if not port.isdigit() or int(port) == 0:
        return f"SD_HTTP_PORT is {port!r}: only a worker with a port of its own can be asked. Set it, e.g. to 8080."
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=_SECONDS)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return "" if answer.status == http.client.OK else f"/health says {answer.status}: {answer.read(300).decode()}"
    except (OSError, http.client.HTTPException) as error:
        return f"no answer on port {port}: {error!r}"
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
