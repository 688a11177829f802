# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the place of an interpreter: has ``server.py`` run a script with this process's streams, place and environment.

Usage: client.py SOCKET SCRIPT [ARGUMENT…]. Standard library only.
"""

from __future__ import annotations

import json
import os
import socket
import sys

request = json.dumps({"cwd": os.getcwd(), "argv": sys.argv[2:], "env": dict(os.environ)}).encode() + b"\n"
with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[1])
    server.sendall(request[socket.send_fds(server, [request], [0, 1, 2]) :])
    status = int(server.recv(16) or b"1")
sys.exit(status if status >= 0 else 128 - status)
