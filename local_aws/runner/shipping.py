# SPDX-License-Identifier: Apache-2.0
"""Ships what a worker prints to its log stream, as the agent on a host does."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from local_aws import store

_BATCH = 1000


@dataclasses.dataclass
class Shipper:
    """Follows one instance's output file."""

    path: Path
    group: str
    stream: str
    offset: int = 0

    def ship(self) -> None:
        """Send the complete lines that were written since the last call."""
        if not self.group or not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self.offset)
            data = file.read()
        complete = data[: data.rfind(b"\n") + 1]
        if complete:
            self.offset += len(complete)
            put(self.group, self.stream, [line for line in complete.decode("utf-8", "replace").splitlines() if line])


def put(group: str, stream: str, lines: list[str]) -> None:
    """Store lines as log events; the group and the stream are made when they do not exist."""
    from moto.logs.models import logs_backends

    backend = logs_backends[store.ACCOUNT][store.REGION]
    if group not in backend.groups:
        backend.create_log_group(group, {})
    if stream not in backend.groups[group].streams:
        backend.create_log_stream(group, stream)
    for start in range(0, len(lines), _BATCH):
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in lines[start : start + _BATCH]]
        backend.groups[group].put_log_events(stream, events)
