# SPDX-License-Identifier: Apache-2.0
"""What is taken ahead, what is drawn together, and what waits for what."""

from __future__ import annotations

import json
import typing as t

import pytest

from api_scheduler.intake import MOST_WAITING, Ramp, appetite
from tests.worker.harness import Deployment, StartWorker, until


def request(request_id: str) -> dict[str, t.Any]:
    return {"id": request_id, "api": "/sdapi/v1/txt2img", "payload": {"prompt": request_id, "steps": 10, "seed": 1}}


@pytest.mark.parametrize(
    ("room", "deciding", "in_line", "waiting", "wanted"),
    [
        (1, 0, 0, 0, 2),  # idle: what begins at once, and one more
        (8, 0, 0, 0, 9),
        (8, 6, 0, 0, 3),
        (0, 0, 0, 0, 1),  # drawing as much as there is room for: the next one
        (0, 1, 0, 0, 0),
        (3, 0, 1, 0, 0),  # what waits does not fit, whatever room there is
        (8, 9, 0, 0, 0),
        (8, 0, 0, MOST_WAITING, 0),  # the network is slower than the card
    ],
)
def test_a_worker_takes_what_it_can_begin_and_one_more(
    room: int, deciding: int, in_line: int, waiting: int, wanted: int
) -> None:
    assert appetite(room, deciding, in_line, waiting) == wanted


def test_a_worker_asks_for_more_while_the_queue_has_more() -> None:
    ramp, asked = Ramp(), []
    for found in (1, 2, 4, 8, 10, 3, 0, 1):
        asked.append(ramp.ask(20))
        ramp.got(asked[-1], found)
    assert asked == [1, 2, 4, 8, 10, 10, 10, 1]
    assert ramp.ask(1) == 1
    ramp.got(1, 1)
    assert ramp.ask(20) == 2  # that there was room for one only says nothing about the queue


def test_several_requests_are_drawn_together_and_share_the_time(deployment: Deployment, start: StartWorker) -> None:
    names = [f"job-{number}" for number in range(6)]
    for name in names:
        deployment.send(request(name))
    worker = start({"SD_NOOP_MS": "1500", "SD_MAX_BATCH": "8"})
    engine_ms = {name: deployment.wait(name)["timings_ms"]["draw"] for name in names}
    shares = {line["request_id"]: line["draw_ms"] for line in worker.jobs(6)}
    assert min(engine_ms.values()) >= 1400
    assert all(shares[name] <= engine_ms[name] for name in names)
    assert sum(shares.values()) < 0.8 * sum(engine_ms.values())


def test_one_is_taken_ahead_and_goes_back_uncounted(deployment: Deployment, start: StartWorker) -> None:
    worker = start({"SD_NOOP_MS": "5000", "SD_MAX_BATCH": "1"}).until_ready()
    assert worker.status()["in_work"] == 0
    for name in ("drawn", "ahead", "left"):
        deployment.send(request(name))
        until(lambda: "busy" in worker.states())
    worker.until_drawing(2)
    status = worker.status()
    assert (status["in_work"], sum(status["in_hand"].values())) == (1, 2)
    assert worker.terminate() == 0
    assert deployment.wait("drawn", 1)["status"] == "succeeded"
    assert deployment.left() == 2
    [there] = deployment.s3.list_objects_v2(Bucket=deployment.bucket, Prefix="state/")["Contents"]
    assert list(json.loads(deployment.read(there["Key"]))["hand_backs"].values()) == [1]
    start()
    assert [deployment.wait(name)["attempts"] for name in ("ahead", "left")] == [1, 1]
