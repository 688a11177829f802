# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases that pause: as planned or for want of a verdict; taken up by promote, deploy and rollback, whoever died."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError, LockHeld
from ansible_collections.diffusion.fleet.plugins.module_utils._release.module import run_release
from local_aws.harness import Harness
from tests.support.fleet import ACCOUNT, TIMING, Fleet

PAUSING: dict[str, t.Any] = {"version": "1.1.0", "steps": [{"percentage": 20, "pause": True}, 60, 100]}
THIN: dict[str, t.Any] = {"version": "1.1.0", "steps": ["20", "100"], "on_inconclusive": "pause"}


def share(fleet: Fleet) -> int:
    """How many instances run 1.1.0."""
    return fleet.versions().count("1.1.0")


def history(fleet: Fleet, sequence: int) -> dict[str, t.Any]:
    """The record of one release."""
    key = f"releases/{sequence:06d}.json"
    found = fleet.client("s3").get_object(Bucket=fleet.names.bucket(ACCOUNT), Key=key)
    return dict(json.loads(found["Body"].read()))


def in_turn(fleet: Fleet, *runs: dict[str, t.Any]) -> None:
    """Let runs work side by side."""
    for _unused in range(60):
        for run in runs:
            run["context"] = run_release(fleet, run, check_mode=False, clock=fleet)["context"]
        fleet.sleep(TIMING["poll"])


def alarms(fleet: Fleet) -> list[str]:
    """Names of the release alarms there are."""
    return [row["AlarmName"] for row in fleet.client("cloudwatch").describe_alarms()["MetricAlarms"]]


def test_a_planned_pause_holds_without_limit_and_promote_finishes(fleet: Fleet) -> None:
    result = fleet.release(**PAUSING)
    assert result["outcome"] == "paused"
    assert "go on with promote.yml, or return to stable with rollback.yml" in result["lines"][-1]
    assert (fleet.locks(), alarms(fleet), share(fleet)) == ([], [], 1)
    assert fleet.parameter("deployment-status") == "in-progress"
    assert fleet.parameter("image-version") == "1.0.0"

    fleet.sleep(3600)
    scale(fleet, 7)
    fleet.sleep(60)
    assert fleet.versions() == ["1.0.0"] * 6 + ["1.1.0"]

    again = fleet.release(**PAUSING)
    assert (again["outcome"], again["changed"]) == ("paused", False)

    result = fleet.release(state="promoted", owner="ada")
    assert result["outcome"] == "succeeded"
    assert fleet.versions() == ["1.1.0"] * 7
    assert fleet.parameter("previous-version") == "1.0.0"
    record = history(fleet, 2)
    assert [row["step"] for row in record["verdicts"]] == [1, 2, 3]
    assert [row["why"] for row in record["pauses"]] == ["after step 1/3 as planned"]
    assert record["comparison"]["paused_seconds"] >= 3600
    assert record["comparison"]["steps"][0] == {"step": 1, "percentage": 20, "planned": 1, "actual": 1}


def test_promoting_in_full_takes_all_the_rest_in_one_step_and_judges_it(fleet: Fleet) -> None:
    fleet.release(**PAUSING)
    result = fleet.release(state="promoted", full=True)
    assert result["outcome"] == "succeeded"
    assert [row["step"] for row in history(fleet, 2)["verdicts"]] == [1, 2]
    assert history(fleet, 2)["verdicts"][-1]["percentage"] == 100


def test_rolling_a_paused_release_back(fleet: Fleet) -> None:
    fleet.release(**PAUSING)
    fleet.release(state="rolled_back", reason="changed my mind")
    assert fleet.versions() == ["1.0.0"] * 5
    assert (fleet.ledger.paused, fleet.parameter("deployment-status")) == (None, "stable")
    assert fleet.ledger.rejected[0].version == "1.1.0"


def test_another_version_is_refused_while_one_is_paused(fleet: Fleet) -> None:
    fleet.build("1.2.0")
    fleet.release(**PAUSING)
    with pytest.raises(FleetError, match=r"The release of 1\.1\.0 is paused \(after step 1/3 as planned, since"):
        fleet.release(version="1.2.0")
    assert share(fleet) == 1


def test_a_pause_for_want_of_a_verdict_ends_when_deploy_finds_the_jobs(fleet: Fleet) -> None:
    fleet.traffic.jobs_per_second = 0
    assert fleet.release(**THIN)["outcome"] == "paused"
    result = fleet.release(**THIN)
    assert (result["outcome"], result["changed"]) == ("paused", False)
    assert "deploy.yml looks at the jobs again" in result["lines"][-1]

    fleet.traffic.jobs_per_second = 0.25
    fleet.sleep(120)
    assert fleet.release(**THIN)["outcome"] == "succeeded"
    assert fleet.versions() == ["1.1.0"] * 5


def test_a_pause_with_a_dead_runs_lock_is_predicted_as_it_comes(fleet: Fleet) -> None:
    fleet.release(**PAUSING)
    name, record = fleet.names.lock(fleet.ledger.epoch + 1), {"run": "gone", "owner": "dead", "host": "h"}
    fleet.client("ssm").put_parameter(Name=name, Value=json.dumps(record), Type="String")
    fleet.sleep(200)
    said, result = fleet.predict(**PAUSING), fleet.release(**PAUSING)
    assert (said["changed"], result["changed"], fleet.locks()) == (False, False, [])
    assert said["lines"][-1] == result["lines"][-1]


def test_jobs_that_fail_while_it_is_paused_send_it_back_even_from_a_promotion(fleet: Fleet) -> None:
    fleet.traffic.jobs_per_second = 0
    fleet.release(**THIN)
    fleet.traffic.jobs_per_second = 0.25
    fleet.traffic.failing.add("1.1.0")
    fleet.sleep(60)
    with pytest.raises(FleetError, match=r"1\.1\.0 was rolled back"):
        fleet.release(state="promoted")
    assert fleet.versions() == ["1.0.0"] * 5
    verdicts = history(fleet, 2)["verdicts"]
    assert [(row["step"], row["verdict"], row["promoted_by"]) for row in verdicts] == [(1, "fail", None)]


def test_a_step_without_a_verdict_is_promoted_by_hand(fleet: Fleet) -> None:
    fleet.traffic.jobs_per_second = 0
    fleet.release(**THIN)
    fleet.start(lambda line: "promoted by hand by ada@" in line, state="promoted", owner="ada")
    fleet.traffic.jobs_per_second = 0.25
    assert fleet.release(version="1.1.0")["outcome"] == "succeeded"
    verdicts = history(fleet, 2)["verdicts"]
    assert [str(row["promoted_by"]).split("@", maxsplit=1)[0] for row in verdicts] == ["ada", "None"]


@pytest.mark.parametrize("full", [False, True])
def test_promoting_early_passes_the_step_that_is_being_judged(fleet: Fleet, full: bool) -> None:
    fleet.start(lambda line: "reached, judging" in line, version="1.1.0", steps=["20", "60", "100"])
    result = fleet.release(state="promoted", owner="ada", full=full)
    assert result["outcome"] == "succeeded"
    verdicts = history(fleet, 2)["verdicts"]
    assert str(verdicts[0]["promoted_by"]).startswith("ada@")
    assert [row["promoted_by"] for row in verdicts[1:]] == [None] * (1 if full else 2)
    assert (result["lines"][-1], fleet.ledger.paused) == ("1.1.0 is stable", None)


def test_promoting_early_needs_the_lock_and_names_its_holder(fleet: Fleet) -> None:
    holder = fleet.params(version="1.1.0", percentage="50", owner="ada")
    early = fleet.params(state="promoted", owner="bob")
    with pytest.raises(LockHeld, match=r"ada@.* is releasing demo right now and holds its lock"):
        in_turn(fleet, holder, early)
    assert fleet.follow(holder)["outcome"] == "succeeded"
    assert [row["promoted_by"] for row in history(fleet, 2)["verdicts"]] == [None, None]


def test_promoting_with_nothing_open_says_why(fleet: Fleet) -> None:
    result = fleet.release(state="promoted")
    assert not result["changed"]
    assert result["lines"] == ["no release is open, 1.0.0 is stable: there is nothing to promote"]


def test_a_run_that_dies_while_it_pauses_leaves_a_pause(fleet: Fleet) -> None:
    fleet.start(lambda line: "pausing as planned" in line, **PAUSING)
    fleet.sleep(TIMING["poll"])
    fleet.start(lambda line: "is paused" in line, **PAUSING)
    result = fleet.release(**PAUSING)
    assert (result["outcome"], result["changed"]) == ("paused", False)
    assert fleet.release(state="promoted")["outcome"] == "succeeded"


def test_a_pause_that_nobody_completed_goes_back_with_the_gate(fleet: Fleet) -> None:
    fleet.start(lambda line: "pausing as planned" in line, **PAUSING)
    fleet.sleep(300)
    with pytest.raises(FleetError, match="AWS ended the instance refresh as RollbackSuccessful"):
        fleet.release(state="promoted")
    assert fleet.versions() == ["1.0.0"] * 5


def test_a_first_release_pauses_too(harness: Harness) -> None:
    fleet = Fleet(harness, 3)
    fleet.build("1.0.0")
    result = fleet.release(version="1.0.0", steps=[{"percentage": 5, "pause": True}, 100])
    assert (result["outcome"], fleet.versions()) == ("paused", ["1.0.0"] * 3)
    assert fleet.parameter("image-version") == "none"
    assert fleet.release(state="promoted")["outcome"] == "succeeded"
    assert fleet.parameter("image-version") == "1.0.0"


def test_a_pause_after_the_last_step(fleet: Fleet) -> None:
    result = fleet.release(version="1.1.0", steps=[{"percentage": 100, "pause": True}])
    assert (result["outcome"], fleet.versions()) == ("paused", ["1.1.0"] * 5)
    assert fleet.parameter("image-version") == "1.0.0"
    assert fleet.release(state="promoted")["outcome"] == "succeeded"
    assert fleet.parameter("image-version") == "1.1.0"


def test_a_step_with_its_own_time_and_number_of_jobs(fleet: Fleet) -> None:
    steps = [{"percentage": 20, "bake": 100, "min_jobs": 40}, {"percentage": 100, "bake": 5, "min_jobs": 1}]
    result = fleet.release(version="1.1.0", steps=steps)
    assert result["plan"]["checkpoint_delay"] == 100 + TIMING["inconclusive_limit"] + 4 * TIMING["poll"]
    first = history(fleet, 2)["verdicts"][0]
    assert (first["bake"], first["min_jobs"]) == (100, 40)
    assert first["candidate"]["jobs"] >= 40


def scale(fleet: Fleet, size: int) -> None:
    """Set the desired capacity, as an alarm would."""
    fleet.client("autoscaling").set_desired_capacity(AutoScalingGroupName=fleet.names.group, DesiredCapacity=size)


def test_a_candidate_that_was_promoted_and_then_given_up_has_run_and_is_rejected(fleet: Fleet) -> None:
    fleet.release(**PAUSING)
    fleet.fail(fleet.ledger.candidate.release_id if fleet.ledger.candidate else "", '{"id": "a"}')
    fleet.start(lambda line: "promoted by hand" in line, state="promoted")
    assert fleet.ledger.refresh_id is None
    result = fleet.release(state="rolled_back", reason="changed my mind")
    assert "replaying 1 request that 1.1.0 failed" in result["lines"]
    assert [item.version for item in fleet.ledger.rejected] == ["1.1.0"]
