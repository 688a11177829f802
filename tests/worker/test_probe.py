# SPDX-License-Identifier: Apache-2.0
"""What HEALTHCHECK runs: a process of its own that asks the worker's port."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from api_scheduler import http_server
from tests.worker.harness import SOURCE, free_port


def probe(port: str) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "SD_HTTP_PORT": port, "http_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "api_scheduler.probe"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout.strip()


@pytest.mark.parametrize(("ok", "status", "says"), [(True, 0, "alive"), (False, 1, '/health says 503: {"state": "x"}')])
def test_it_says_what_health_says(ok: bool, status: int, says: str) -> None:
    server = http_server.serve("127.0.0.1", 0, {"/health": lambda: http_server.json_answer(ok, {"state": "x"})})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    assert probe(str(server.server_address[1])) == (status, says)
    server.shutdown()
    server.server_close()


def test_nobody_there_is_not_alive() -> None:
    port = free_port()
    status, says = probe(str(port))
    assert status == 1 and says.startswith(f"no answer on port {port}: ")


def test_a_worker_on_any_port_cannot_be_asked() -> None:
    assert probe("0")[0] == 1
