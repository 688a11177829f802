# SPDX-License-Identifier: Apache-2.0
"""A worker that starts from a model in S3."""

from __future__ import annotations

import time
from pathlib import Path

from scripts.rehearsal.admin import set_faults
from tests.worker.harness import ROOT, Deployment, StartWorker, until
from tests.worker.models.shelf import Shelf

DIGITS = ROOT / "worker_app/models/digits"


def test_a_worker_starts_from_s3_and_answers_its_probes_meanwhile(
    deployment: Deployment, start: StartWorker, shelf: Shelf, tmp_path: Path
) -> None:
    files = {path.relative_to(DIGITS).as_posix(): path.read_bytes() for path in DIGITS.rglob("*") if path.is_file()}
    location = shelf.put("models/digits", files)
    settings = {"SD_ENGINE": "diffusers", "SD_MODELS": f"one={location}", "SD_MODEL_CACHE": str(tmp_path / "cache")}

    set_faults(deployment.endpoint, {"kind": "delay", "service": "s3", "operation": "GetObject", "seconds": 60})
    slow = start(settings)
    until(lambda: slow.states() == ["warming"])
    slow.said("started")
    assert [slow.get(path)[0] for path in ("/health", "/ready", "/status", "/metrics")] == [200, 503, 200, 200]
    began = time.monotonic()
    assert slow.terminate() == 0
    assert time.monotonic() - began < 30
    assert "ready" not in slow.states()
    set_faults(deployment.endpoint)

    worker = start(settings).until_ready()
    assert [line["model"] for line in worker.said("model download done")] == ["one"]
    payload = {"prompt": "a red three", "steps": 4, "seed": 3}
    deployment.send({"id": "drawn", "api": "/sdapi/v1/txt2img", "payload": payload})
    result = deployment.wait("drawn")
    assert (result["status"], result["parameters"]["model"]) == ("succeeded", "one")
