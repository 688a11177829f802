# SPDX-License-Identifier: GPL-3.0-or-later
"""A hostile world: lost replies, runs that wake up late, losses that are nobody's fault, scaling in the middle."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError, InvalidInput, LockLost
from ansible_collections.diffusion.fleet.plugins.module_utils._release.actions import Actions
from ansible_collections.diffusion.fleet.plugins.module_utils._release.guard import Guard
from ansible_collections.diffusion.fleet.plugins.module_utils._release.module import make_options, run_release
from ansible_collections.diffusion.fleet.plugins.module_utils._release.observe import observe
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import Action, Context, Kind
from local_aws.harness import Harness
from tests.support.fleet import TIMING, Fleet, make_fleet


def test_a_lost_reply_on_taking_the_first_lock_of_all(harness: Harness) -> None:
    fleet = Fleet(harness, 2)
    fleet.build("1.0.0")
    harness.world.faults.replace([{"kind": "lost_reply", "service": "ssm", "operation": "PutParameter", "times": 1}])
    fleet.client("ssm").meta.config.retries["max_attempts"] = 3
    params = fleet.params(version="1.0.0")
    try:
        result = fleet.follow(params)
    except FleetError:  # a client that does not send again reports it; the same run goes on
        result = fleet.follow(params)
    assert result["outcome"] == "succeeded"
    assert fleet.versions() == ["1.0.0"] * 2
    assert fleet.locks() == []


def test_a_run_that_wakes_up_between_its_look_and_its_deed_changes_nothing(fleet: Fleet) -> None:
    fleet.build("1.2.0")
    sleeper = fleet.params(version="1.1.0", percentage="100")
    for _unused in range(2):
        sleeper["context"] = run_release(fleet, sleeper, check_mode=False, clock=fleet)["context"]
    context = Context(**sleeper["context"])
    seen = observe(fleet, fleet.names, make_options(sleeper), context, fleet.now())

    fleet.sleep(TIMING["lock_expiry"] + 1)
    fleet.start(lambda line: "starting the instance refresh" in line, version="1.2.0", percentage="50")
    before = (fleet.ledger, fleet.group())
    late = Actions(fleet, fleet.names, Guard(fleet, fleet.names))
    with pytest.raises(LockLost):
        late.apply(seen, Action(Kind.BEGIN, "releasing 1.1.0"))
    assert (fleet.ledger, fleet.group()) == before


def test_epochs_only_grow(fleet: Fleet) -> None:
    first = fleet.ledger.epoch
    fleet.start(lambda line: "holding the lock" in line, version="1.1.0")
    taken = fleet.ledger.epoch
    fleet.release(version="1.1.0", percentage="100")
    assert first < taken < fleet.ledger.epoch


def test_runs_that_are_refused_do_not_keep_an_abandoned_release_alive(fleet: Fleet) -> None:
    fleet.build("1.2.0")
    fleet.start(lambda line: "pass: " in line, version="1.1.0", percentage="34")
    for _unused in range(9):
        fleet.sleep(TIMING["lock_expiry"] + 1)
        with pytest.raises(FleetError, match=r"The release of 1\.1\.0 is open|gone|RollbackSuccessful"):
            fleet.release(version="1.2.0")
    assert fleet.versions() == ["1.0.0"] * 5


def test_a_group_at_zero_is_woken_on_the_stable_release(fleet: Fleet) -> None:
    scale(fleet, 0)
    fleet.sleep(60)
    assert fleet.versions() == []
    fleet.start(lambda line: "starting the instance refresh" in line, version="1.1.0", percentage="50")
    assert set(fleet.versions()) == {"1.0.0"}
    fleet.release(version="1.1.0", percentage="50")
    assert fleet.versions() == ["1.1.0"] * 5


def test_a_release_that_is_closed_does_not_fail_for_want_of_tidying_up(fleet: Fleet) -> None:
    fleet.release(version="1.1.0", percentage="100")
    fleet.harness.world.faults.replace([{"kind": "denied", "service": "sns", "operation": "Publish"}])
    result = fleet.release(state="rolled_back")
    assert result["outcome"] == "rolled_back"
    assert "warning: Cannot publish the release event" in result["lines"][-1]
    assert fleet.locks() == []


def test_losing_stable_instances_is_not_held_against_the_candidate(fleet: Fleet) -> None:
    params = fleet.params(version="1.1.0", percentage="20")
    lost = 0
    for _unused in range(400):
        result = run_release(fleet, params, check_mode=False, clock=fleet)
        params["context"] = result["context"]
        if any("reached, judging" in line for line in result["lines"]) and lost < 2:
            lost += lose_one_of(fleet, "1.0.0")
        if result["done"]:
            break
        fleet.sleep(TIMING["poll"])
    assert lost == 2
    assert fleet.versions() == ["1.1.0"] * 5


def test_a_scale_out_does_not_end_the_canary(harness: Harness) -> None:
    fleet = make_fleet(harness, 4)
    params, lines = fleet.params(version="1.1.0", percentage="25"), []
    for _unused in range(400):
        result = run_release(fleet, params, check_mode=False, clock=fleet)
        params["context"] = result["context"]
        lines += result["lines"]
        if "reached, judging" in result["lines"][-1] and fleet.group()["DesiredCapacity"] == 4:
            scale(fleet, 8)
        if result["done"]:
            break
        fleet.sleep(TIMING["poll"])
    passed = [line for line in lines if "pass: " in line]
    assert "(100 %, 8 of 8 instances" in passed[-1]
    assert fleet.versions() == ["1.1.0"] * 8


def test_an_instance_of_another_template_is_replaced(fleet: Fleet) -> None:
    stray(fleet)
    result = fleet.release(version="1.0.0", percentage="100")
    assert result["outcome"] == "succeeded"
    assert fleet.versions() == ["1.0.0"] * 5
    assert fleet.parameter("previous-version") == "none"


def test_smoke_queues_of_another_deployment_are_left_alone(fleet: Fleet) -> None:
    fleet.client("sqs").create_queue(QueueName="sd-smoke-demo-eu-0123456789ab")
    fleet.client("sqs").create_queue(QueueName="sd-smoke-demo-0123456789ab")
    fleet.release(version="1.1.0", percentage="100")
    names = [url.rsplit("/", 1)[1] for url in fleet.client("sqs").list_queues(QueueNamePrefix="sd-smoke")["QueueUrls"]]
    assert "sd-smoke-demo-eu-0123456789ab" in names
    assert "sd-smoke-demo-0123456789ab" not in names


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"alarms": ["no-such-alarm"]}, r"alarms: no-such-alarm \(MISSING\) would stop the release at once"),
        ({"timing": {**TIMING, "window": 200000}}, "an instance refresh waits 172800 s at most"),
        ({"timing": {**TIMING, "poll": 0}}, r"timing\.poll=0 is too small"),
        (
            {"timing": {**TIMING, "gate_period": 60, "gate_periods": 1441}},
            r"timing\.gate_periods=1441 of gate_period=60 s come to 86460 s; CloudWatch evaluates 86400 s at most",
        ),
        (
            {"timing": {**TIMING, "gate_period": 7200, "gate_periods": 85}},
            "come to 612000 s; CloudWatch evaluates 604800 s at most",
        ),
        ({"timing": {**TIMING, "poll": 11}}, r"timing\.poll=11 must be at most half of lock_expiry"),
    ],
)
def test_what_could_never_work_is_refused_before_it_begins(fleet: Fleet, wish: dict[str, t.Any], sentence: str) -> None:
    before = (fleet.ledger.sequence, fleet.group())
    with pytest.raises(InvalidInput, match=sentence):
        fleet.release(version="1.1.0", **wish)
    assert (fleet.ledger.sequence, fleet.group()) == before


def test_a_first_release_larger_than_the_group_may_be(harness: Harness) -> None:
    fleet = Fleet(harness, 2)
    fleet.build("1.0.0")
    with pytest.raises(InvalidInput, match="initial_capacity=50 is more than the group's maximum of 4"):
        fleet.release(version="1.0.0", initial_capacity=50)
    assert fleet.ledger.sequence == 0


def test_a_gate_of_several_periods_fires_before_an_abandoned_release_is_over(fleet: Fleet) -> None:
    fleet.timing = {**TIMING, "gate_period": 60, "gate_periods": 3}
    fleet.start(lambda line: "reached, judging" in line, version="1.1.0", percentage="100")
    fleet.sleep(900)
    assert fleet.versions() == ["1.0.0"] * 5


def test_a_lock_is_taken_over_by_a_machine_whose_clock_is_behind(fleet: Fleet) -> None:
    fleet.start(lambda line: "reached, judging" in line, version="1.1.0", percentage="100")
    fleet.skew = dt.timedelta(hours=-1)
    assert fleet.release(state="rolled_back")["outcome"] == "rolled_back"
    assert fleet.versions() == ["1.0.0"] * 5


def test_without_surge_the_group_never_exceeds_its_size(fleet: Fleet) -> None:
    fleet.release(version="1.1.0", percentage="50", surge=False)
    assert fleet.versions() == ["1.1.0"] * 5
    assert most_alive(fleet) == 5


def scale(fleet: Fleet, size: int) -> None:
    """Set the desired capacity, as an alarm would."""
    fleet.client("autoscaling").set_desired_capacity(AutoScalingGroupName=fleet.names.group, DesiredCapacity=size)


def lose_one_of(fleet: Fleet, version: str) -> int:
    """End one instance of that version as unhealthy; 1 when there was one."""
    for row in fleet.group()["Instances"]:
        if row["LifecycleState"] == "InService" and fleet.release_of(row["InstanceId"])["ImageVersion"] == version:
            fleet.client("autoscaling").set_instance_health(InstanceId=row["InstanceId"], HealthStatus="Unhealthy")
            return 1
    return 0


def stray(fleet: Fleet) -> None:
    """One instance that somebody launched from the bootstrap template, as a cancelled refresh of theirs leaves it."""
    autoscaling, name = fleet.client("autoscaling"), fleet.names.group
    autoscaling.start_instance_refresh(
        AutoScalingGroupName=name,
        DesiredConfiguration={"LaunchTemplate": {"LaunchTemplateName": name, "Version": "1"}},
        Preferences={
            "CheckpointPercentages": [20, 100],
            "CheckpointDelay": 3600,
            "MaxHealthyPercentage": 120,
            "MinHealthyPercentage": 100,
        },
    )
    fleet.sleep(60)
    autoscaling.cancel_instance_refresh(AutoScalingGroupName=name)
    fleet.sleep(30)
    templates = {row["LaunchTemplate"]["Version"] for row in fleet.group()["Instances"]}
    if templates != {"1", "2"}:
        raise AssertionError(f"no stray instance: templates {templates}")


def most_alive(fleet: Fleet) -> int:
    """The most instances that were launched and not yet terminating at once, after the first release."""
    alive: set[str] = set()
    most = 0
    for entry in fleet.harness.world.timeline.entries:
        if entry["instance"] and entry["lifecycle"]:
            leaving = str(entry["lifecycle"]).startswith("Terminat")
            (alive.discard if leaving else alive.add)(entry["instance"])
            most = max(most, len(alive))
    return most
