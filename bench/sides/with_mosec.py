# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipeline behind mosec; its own arguments follow (--port, --address)."""

from __future__ import annotations

import os
import typing as t

import mosec

from bench.sides.pipeline import Pipeline, png

AT_ONCE = int(os.environ.get("BENCH_AT_ONCE", "1"))


class Draw(mosec.Worker):
    """One worker process."""

    def __init__(self) -> None:
        super().__init__()
        self.pipeline = Pipeline()

    def forward(self, data: t.Any) -> t.Any:
        """A list where batching is on, one payload where it is off."""
        if isinstance(data, list):
            return [png(picture) for picture in self.pipeline.draw(data)]
        return png(self.pipeline.draw([data])[0])

    def serialize(self, data: bytes) -> bytes:
        return data


if __name__ == "__main__":
    server = mosec.Server()
    server.append_worker(Draw, num=1, max_batch_size=AT_ONCE, max_wait_time=5)
    server.run()
