# SPDX-License-Identifier: Apache-2.0
"""A model in S3 for tests, a client that counts what is read, and a line to S3 that breaks."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import io
import json
import threading
import typing as t
import urllib.request
from pathlib import Path

import botocore.session

from api_scheduler.clock import SystemClock
from api_scheduler.logs import Log
from api_scheduler.models import Models
from api_scheduler.models.cache import Cache
from api_scheduler.models.fetching import Fetcher

Files = dict[str, bytes]
INDEX = json.dumps({"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}).encode()


def weights(size: int = 1000, seed: int = 1) -> bytes:
    """Bytes that differ all over."""
    block = hashlib.shake_256(str(seed).encode()).digest(1 << 16)
    return (block * (size // len(block) + 1))[:size]


def model(size: int = 1000, seed: int = 1) -> Files:
    """The least that is a model."""
    return with_manifest(
        {"model_index.json": INDEX, "unet/config.json": b"{}", "unet/model.safetensors": weights(size, seed)}
    )


def with_manifest(files: Files) -> Files:
    """With a list of what is there."""
    lines = [f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in files.items()]
    return {**files, "SHA256SUMS": "".join(lines).encode()}


class Hurried(SystemClock):
    """Does not wait long for anything."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait a moment."""
        return event.wait(min(seconds, 0.01))


@dataclasses.dataclass
class Shelf:
    """A bucket of models, and what a worker reads from it."""

    endpoint: str
    bucket: str
    root: Path
    log: io.StringIO = dataclasses.field(default_factory=io.StringIO)
    reads: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.s3 = self.client(self.endpoint)

    def client(self, endpoint: str) -> t.Any:
        """A client that notes each GET of weights."""
        session = botocore.session.Session()
        session.set_credentials("test", "test")
        client = session.create_client("s3", region_name="us-east-1", endpoint_url=endpoint)
        client.meta.events.register("provide-client-params.s3.GetObject", self._note)
        return client

    def _note(self, params: dict[str, t.Any], **_more: t.Any) -> None:
        if params["Key"].endswith(".safetensors"):
            self.reads.append(params.get("Range", ""))

    def put(self, prefix: str, files: Files, **more: t.Any) -> str:
        """Upload; the location."""
        for name, body in files.items():
            self.s3.put_object(Bucket=self.bucket, Key=f"{prefix}/{name}", Body=body, **more)
        return f"s3://{self.bucket}/{prefix}/"

    def models(
        self, locations: dict[str, str], limit: int = 1 << 30, digests_required: bool = True, endpoint: str = ""
    ) -> Models:
        """The catalogue of a worker that shares the cache with every other one of this shelf."""
        clock, s3 = Hurried(), self.client(endpoint) if endpoint else self.s3
        log = Log(clock, {}, self.log)
        cache = Cache(self.root, limit, clock, log)
        return Models(locations, Fetcher(s3, cache, clock, log, digests_required=digests_required))

    def whole(self) -> list[Path]:
        """The models in the cache."""
        return sorted((self.root / "models").glob("*"))


def read(models: Models, name: str = "") -> Files:
    """Open a model; its files' bytes."""
    with models.open(name) as found:
        return {
            path.relative_to(found.path).as_posix(): path.read_bytes()
            for path in found.path.rglob("*")
            if path.is_file()
        }


class BadLine:
    """Passes GETs on to S3 and breaks some replies off half way: those whose Range ``breaks`` is true of."""

    def __init__(self, target: str, breaks: t.Callable[[str], bool]) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                skipped = ("host", "connection", "accept-encoding")
                headers = {name: value for name, value in self.headers.items() if name.lower() not in skipped}
                with urllib.request.urlopen(urllib.request.Request(target + self.path, headers=headers)) as answer:
                    body, status, replied = answer.read(), answer.status, answer.headers
                self.send_response(status)
                for name, value in replied.items():
                    if name.lower() not in ("connection", "transfer-encoding"):
                        self.send_header(name, value)
                self.end_headers()
                broken = breaks(self.headers.get("Range", ""))
                self.wfile.write(body[: len(body) // 2] if broken else body)
                self.close_connection = True

            def log_message(self, format: str, *args: t.Any) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Hang up."""
        self._server.shutdown()
        self._server.server_close()
