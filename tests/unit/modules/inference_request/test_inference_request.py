# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as a user meets it: requests in, a queue, a bucket, pictures and JSON out."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import WaitTimeout
from ansible_collections.diffusion.fleet.plugins.module_utils._requests.submit import Options, submit

from .conftest import BUCKET, Fleet, Run, WorkingClock


def request(prompt: str = "a red three", **fields: t.Any) -> dict[str, t.Any]:
    """A request as a user writes it."""
    return {"payload": {"prompt": prompt, "steps": 8}, **fields}


def options(*requests: dict[str, t.Any], **changes: t.Any) -> Options:
    """Options of the use case below the module."""
    base: dict[str, t.Any] = {"dest": None, "wait": True, "wait_timeout": 60, "poll_interval": 1, "fail_on_error": True}
    return Options(deployment_id="demo", requests=requests, **{**base, **changes})


def test_sends_once_and_saves_the_picture(run: Run, fleet: Fleet, tmp_path: pathlib.Path) -> None:
    asked = {"requests": [request(id="three")], "dest": str(tmp_path / "pictures")}
    assert run(**asked, wait=False)["sent"] == ["three"]
    assert fleet.draw() == ["three"]
    second = run(**asked)
    assert (second["changed"], second["sent"], second["succeeded"]) == (True, [], ["three"])
    assert [pathlib.Path(path).read_bytes() for path in second["files"]] == [b"picture of three"]
    third = run(**asked)
    assert third["changed"] is False
    assert third["files"] == second["files"]
    assert fleet.queued() == []


def test_the_body_is_the_contract(run: Run, fleet: Fleet) -> None:
    run(requests=[request(id="a", context={"order": 7}, ttl_seconds=60)], wait=False)
    (body,) = fleet.queued()
    assert {key: value for key, value in body.items() if key != "raw"} == {
        "id": "a",
        "api": "/sdapi/v1/txt2img",
        "payload": {"prompt": "a red three", "steps": 8},
        "context": {"order": 7},
        "ttl_seconds": 60,
    }


def test_an_id_left_out_follows_from_the_contents(run: Run) -> None:
    first = run(requests=[request(), request("a blue one")], wait=False)
    again = run(requests=[request("a blue one"), request()], wait=False)
    assert len(set(first["sent"])) == 2
    assert sorted(first["sent"]) == sorted(again["sent"])


def test_an_id_with_the_result_of_another_body_sends_nothing(run: Run, fleet: Fleet) -> None:
    run(requests=[request(id="a")], wait=False)
    fleet.draw()
    refused = run(requests=[request("a blue one", id="b"), request("a green two", id="a")], wait=False)
    assert refused["failed"] is True
    assert "id=a" in refused["msg"]
    assert "another id" in refused["msg"]
    assert fleet.queued() == []


def test_check_mode_predicts_what_is_sent(run: Run, fleet: Fleet, tmp_path: pathlib.Path) -> None:
    asked = {"requests": [request(id="a")], "dest": str(tmp_path / "p")}
    assert run(**asked, check=True)["sent"] == ["a"]
    assert fleet.queued() == []
    run(**asked, wait=False)
    fleet.draw()
    predicted = run(**asked, check=True)
    assert predicted["changed"] is True
    assert not (tmp_path / "p").exists()
    assert run(**asked)["files"] == predicted["files"]
    assert run(**asked, check=True)["changed"] is False


def test_a_wait_that_runs_out_names_what_is_pending(run: Run) -> None:
    late = run(requests=[request(id="a"), request(id="b")])
    assert late["failed"] is True
    assert late["changed"] is True
    assert late["pending"] == ["a", "b"]
    assert "2 of 2" in late["msg"]
    assert "a, b" in late["msg"]
    assert "status.yml" in late["msg"]


def test_waits_until_the_last_result(fleet: Fleet) -> None:
    clock = WorkingClock(fleet)
    before = clock.now()
    done = submit(fleet, clock, options(*(request(id=f"r{n}") for n in range(12))), check_mode=False)
    assert done["succeeded"] == [f"r{n}" for n in range(12)]
    assert done["pending"] == []
    assert (clock.now() - before).total_seconds() == 12


def test_a_wait_keeps_what_came_in_time(fleet: Fleet, tmp_path: pathlib.Path) -> None:
    asked = options(*(request(id=f"r{n}") for n in range(5)), wait_timeout=3, dest=str(tmp_path))
    with pytest.raises(WaitTimeout) as raised:
        submit(fleet, WorkingClock(fleet), asked, check_mode=False)
    assert raised.value.details["succeeded"] == ["r0", "r1", "r2"]
    assert raised.value.details["pending"] == ["r3", "r4"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r0-0.png", "r1-0.png", "r2-0.png"]


@pytest.mark.parametrize(
    ("status", "key"), [("failed", "failed_requests"), ("cancelled", "cancelled"), ("expired", "expired")]
)
def test_what_did_not_succeed_fails_unless_allowed(run: Run, fleet: Fleet, status: str, key: str) -> None:
    asked = {"requests": [request(id="good"), request(id="bad")]}
    fleet.statuses["bad"] = status
    run(**asked, wait=False)
    fleet.draw()
    failed = run(**asked)
    assert failed["failed"] is True
    assert failed[key] == ["bad"]
    assert failed["succeeded"] == ["good"]
    assert "1 of 2" in failed["msg"]
    assert "steps is 0" in failed["msg"]
    allowed = run(**asked, fail_on_error=False)
    assert "failed" not in allowed
    assert allowed[key] == ["bad"]
    assert allowed["changed"] is False


def test_an_id_that_a_client_has_cancelled_is_not_sent(run: Run, fleet: Fleet) -> None:
    document = {"id": "a", "status": "cancelled", "images": [], "error": None, "worker": None, "body_sha256": None}
    fleet.s3.put_object(Bucket=BUCKET, Key="results/a/result.json", Body=json.dumps(document))
    done = run(requests=[request(id="a")], fail_on_error=False)
    assert (done["changed"], done["sent"], done["cancelled"]) == (False, [], ["a"])


def test_a_damaged_picture_is_fetched_again(run: Run, fleet: Fleet, tmp_path: pathlib.Path) -> None:
    asked = {"requests": [request(id="a")], "dest": str(tmp_path)}
    run(**asked, wait=False)
    fleet.draw()
    (path,) = run(**asked)["files"]
    pathlib.Path(path).write_bytes(b"half")
    assert run(**asked)["changed"] is True
    assert pathlib.Path(path).read_bytes() == b"picture of a"


def test_a_picture_that_is_not_the_results_is_refused(run: Run, fleet: Fleet, tmp_path: pathlib.Path) -> None:
    run(requests=[request(id="a")], wait=False)
    fleet.draw()
    fleet.s3.put_object(Bucket="sd-images-demo-123456789012", Key="results/a/0.png", Body=b"other")
    refused = run(requests=[request(id="a")], dest=str(tmp_path))
    assert "sha256 differs" in refused["msg"]
    assert list(tmp_path.iterdir()) == []


BAD: list[tuple[dict[str, t.Any], str]] = [
    (request(id="-a"), "requests[1].id='-a'"),
    (request(id="a/b"), "requests[1].id='a/b'"),
    (request(id="x" * 129), "requests[1].id="),
    (request(id="ok"), "requests[1].id='ok' is also the id of requests[0]"),
    (request(api="txt2img"), "requests[1].api='txt2img'"),
    ({"payload": {}}, "requests[1].payload is empty"),
    (request(ttl_seconds=0), "requests[1].ttl_seconds=0"),
    (request("x" * 1024 * 1024), "requests[1] has a body of"),
]


@pytest.mark.parametrize(("bad", "said"), BAD)
def test_a_request_that_cannot_be_sent_stops_all(run: Run, fleet: Fleet, bad: dict[str, t.Any], said: str) -> None:
    refused = run(requests=[request(id="ok"), bad])
    assert refused["failed"] is True
    assert said in refused["msg"]
    assert fleet.queued() == []


@pytest.mark.parametrize("changes", [{"poll_interval": 0}, {"poll_interval": -1}, {"wait_timeout": -1}])
def test_times_that_cannot_be_meant_are_refused(run: Run, fleet: Fleet, changes: dict[str, t.Any]) -> None:
    refused = run(requests=[request()], **changes)
    assert refused["failed"] is True
    assert next(iter(changes)) in refused["msg"]
    assert fleet.queued() == []


def test_a_deployment_that_does_not_exist_names_the_next_step(run: Run) -> None:
    refused = run(requests=[request()], deployment_id="other")
    assert "sd-task-queue-other" in refused["msg"]
    assert "provision.yml" in refused["msg"]
