# SPDX-License-Identifier: GPL-3.0-or-later
"""The module by itself: jobs from the log or from lists, through ``main`` with JSON."""

from __future__ import annotations

import datetime as dt
import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.diffusion.fleet.plugins.modules import release_judgement
from local_aws.harness import Harness
from local_aws.runner.simulated import SimulatedRunner

LOG_GROUP = "/sd-inference/demo/api-scheduler"
STABLE, CANDIDATE = "0a1b2c3d4e5f", "00aa11bb22cc"


@pytest.fixture
def harness() -> t.Iterator[Harness]:
    """An empty local AWS on virtual time."""
    with Harness(runner=SimulatedRunner(boot_seconds=1)) as harness:
        yield harness


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], harness: Harness) -> t.Callable[..., dict[str, t.Any]]:
    """Run the module; the JSON it printed."""

    def with_options(**options: t.Any) -> dict[str, t.Any]:
        account = {"region": "us-east-1", "endpoint_url": harness.endpoint}
        keys = {"access_key": "local", "secret_key": "local"}
        with patch_module_args({**account, **keys, **options}), pytest.raises(SystemExit):
            release_judgement.main()
        return dict(json.loads(capsys.readouterr().out))

    return with_options


def lines(count: int, failed: int = 0, release_id: str = CANDIDATE, draw_ms: float = 900.0) -> list[dict[str, t.Any]]:
    """Job lines of one warm instance."""
    return [
        {
            "event": "job",
            "release_id": release_id,
            "instance_id": f"i-{release_id}",
            "outcome": "handed_back" if index < failed else "succeeded",
            "error_type": "transient" if index < failed else None,
            "draw_ms": draw_ms,
            "steps": 20,
            "pixels": 512 * 512,
            "smoke": False,
            "sequence": index + 3,
        }
        for index in range(count)
    ]


def ship(harness: Harness, rows: t.Sequence[dict[str, t.Any]], at: dt.datetime) -> None:
    """Put lines into the log group, a second apart."""
    logs, stream = harness.client("logs"), rows[0]["instance_id"]
    if not logs.describe_log_groups(logGroupNamePrefix=LOG_GROUP)["logGroups"]:
        logs.create_log_group(logGroupName=LOG_GROUP)
    logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=stream)
    first = int(at.timestamp() * 1000)
    events = [{"timestamp": first + 1000 * n, "message": json.dumps(row)} for n, row in enumerate(rows)]
    logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=stream, logEvents=events)


def test_jobs_given_in_lists_are_judged_without_aws(run: t.Callable[..., dict[str, t.Any]]) -> None:
    good = run(candidate_jobs=lines(30), stable_jobs=lines(200, release_id=STABLE))
    assert (good["verdict"], good["changed"]) == ("pass", False)
    bad = run(candidate_jobs=lines(30, failed=15), stable_jobs=lines(200, release_id=STABLE))
    assert bad["verdict"] == "fail"
    assert "15 of 20 jobs failed, more than on stable" in bad["sentence"]
    assert bad["candidate"]["failed"] == 15
    assert run(candidate_jobs=lines(3), limits={"min_jobs": 4})["verdict"] == "inconclusive"


def test_a_list_may_hold_the_lines_of_workers_that_begin(run: t.Callable[..., dict[str, t.Any]]) -> None:
    warming = {"event": "state", "state": "warming", "instance_id": f"i-{CANDIDATE}"}
    found = run(candidate_jobs=[warming, *lines(20), warming, *lines(20)])
    assert (found["candidate"]["jobs"], found["candidate"]["restarts"]) == (40, 1)
    assert "no job line" in run(candidate_jobs=[{**warming, "state": "ready"}])["msg"]


def test_jobs_without_their_number_are_judged_but_for_their_latency(run: t.Callable[..., dict[str, t.Any]]) -> None:
    slow = [{key: row[key] for key in row if key != "sequence"} for row in lines(60, draw_ms=5000.0)]
    found = run(candidate_jobs=slow, stable_jobs=lines(300, release_id=STABLE))
    assert (found["verdict"], found["latency_ratio"]) == ("pass", None)


def test_releases_are_compared_by_their_lines_in_the_log(
    run: t.Callable[..., dict[str, t.Any]], harness: Harness
) -> None:
    began = harness.clock.now() - dt.timedelta(hours=1)
    ship(harness, lines(300, release_id=STABLE), began)
    ship(harness, lines(60, draw_ms=2000.0), began + dt.timedelta(minutes=1))
    found = run(deployment_id="demo", candidate=CANDIDATE, stable=STABLE, start=began.isoformat())
    assert found["verdict"] == "fail"
    assert "drawing takes 2.22 times as long as on stable" in found["sentence"]
    assert (found["candidate"]["jobs"], found["stable"]["jobs"]) == (60, 300)
    end = (began + dt.timedelta(seconds=69.5)).isoformat()
    earlier = run(log_group=LOG_GROUP, candidate=CANDIDATE, stable=STABLE, start=began.isoformat(), end=end)
    assert (earlier["candidate"]["jobs"], earlier["stable"]["jobs"]) == (10, 70)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"candidate": CANDIDATE, "deployment_id": "demo"}, f"candidate={CANDIDATE} needs start"),
        ({"candidate": CANDIDATE, "start": "2026-01-31"}, "deployment_id or log_group is needed"),
        ({"candidate": CANDIDATE, "start": "noon", "log_group": "x"}, "start='noon' is no ISO 8601 time"),
        ({"candidate_jobs": [{"sequence": 1}]}, "candidate_jobs[0] is no job line"),
        ({"candidate_jobs": [], "limits": {"max_failure_share": 7}}, "limits.max_failure_share=7 must be from 0 to 1"),
    ],
)
def test_what_cannot_be_judged_is_refused_by_name(
    run: t.Callable[..., dict[str, t.Any]], options: dict[str, t.Any], message: str
) -> None:
    answer = run(**options)
    assert answer["failed"]
    assert message in answer["msg"]
