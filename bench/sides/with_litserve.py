# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipeline behind litserve."""

from __future__ import annotations

import sys
import typing as t

import litserve
from fastapi import Response

from bench.sides.pipeline import Pipeline, png


class Api(litserve.LitAPI):
    """One worker process."""

    def setup(self, device: str) -> None:
        self.pipeline = Pipeline()

    def predict(self, x: t.Any) -> t.Any:
        """A list where batching is on, one payload where it is off."""
        return self.pipeline.draw(x) if isinstance(x, list) else self.pipeline.draw([x])[0]

    def encode_response(self, output: t.Any) -> Response:
        return Response(png(output), media_type="image/png")


if __name__ == "__main__":
    port, at_once = int(sys.argv[1]), int(sys.argv[2])
    api = Api(max_batch_size=at_once, batch_timeout=0.005) if at_once > 1 else Api()
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="error", num_api_servers=1)
