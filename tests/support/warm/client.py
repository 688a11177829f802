# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the place of an interpreter: has ``server.py`` run a script with this process's streams, place and environment.

Usage: client.py SOCKET SCRIPT [ARGUMENT…]. Standard library only, and little of it.
"""

from __future__ import annotations

import _socket
import json
import os
import sys

with_server = _socket.socket(_socket.AF_UNIX)
with_server.connect(sys.argv[1])
request = json.dumps({"cwd": os.getcwd(), "argv": sys.argv[2:], "env": dict(os.environ)}).encode() + b"\n"
streams = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
sent = with_server.sendmsg([request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
while sent < len(request):
    sent += with_server.send(request[sent:])
status = int(with_server.recv(16) or b"1")
sys.exit(status if status >= 0 else 128 - status)
