# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipeline behind Ray Serve."""

from __future__ import annotations

import sys
import threading
import typing as t

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from bench.sides.pipeline import Pipeline, png


class Draw:
    """One replica."""

    def __init__(self) -> None:
        self.pipeline = Pipeline()

    async def __call__(self, request: Request) -> Response:
        return Response(png(self.pipeline.draw([await request.json()])[0]), media_type="image/png")


class DrawTogether:
    """One replica that batches."""

    def __init__(self) -> None:
        self.pipeline = Pipeline()

    async def __call__(self, request: Request) -> Response:
        return Response(await self.one(await request.json()), media_type="image/png")

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.005)
    async def one(self, payloads: list[dict[str, t.Any]]) -> list[bytes]:
        """Pictures that are drawn together."""
        return [png(picture) for picture in self.pipeline.draw(payloads)]


if __name__ == "__main__":
    port, at_once = int(sys.argv[1]), int(sys.argv[2])
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 * 2**20)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    kind = DrawTogether if at_once > 1 else Draw
    serve.run(serve.deployment(kind, max_ongoing_requests=64).bind(), name="draw", route_prefix="/predict")
    threading.Event().wait()
