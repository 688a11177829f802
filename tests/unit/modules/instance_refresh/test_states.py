# SPDX-License-Identifier: GPL-3.0-or-later
"""The module in each state that a refresh can be in, and when the group moves on between look and call."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from local_aws.settings import Rules

from .conftest import GROUP, Account, Between, version

SLOW = {"checkpoint_percentages": [25, 100], "checkpoint_delay": 600, "min_healthy_percentage": 75}
BAKE = {"min_healthy_percentage": 0, "bake_time": 600}


def bake(account: Account) -> None:
    """Have a refresh to version 2 that has replaced all and bakes."""
    account.run(desired_configuration=version(2), preferences=BAKE)
    account.harness.advance_until(lambda: account.statuses()[0] == "Baking")


def test_what_bakes_is_active(account: Account) -> None:
    bake(account)
    assert account.run(desired_configuration=version(2), on_active="adopt")["changed"] is False
    assert "Baking" in account.run(desired_configuration=version(3))["msg"]
    for state, status in (("cancelled", "Cancelling"), ("rolled_back", "RollbackInProgress")):
        result = account.run(state=state, check=True, diff=True)
        assert (result["changed"], result["refresh"]["status"]) == (True, status)
        assert (result["diff"]["before"]["status"], result["diff"]["after"]["status"]) == ("Baking", status)
    assert account.statuses() == ["Baking"]
    result = account.follow(state="rolled_back")
    assert (result["refresh"]["outcome"], account.versions()) == ("rolled_back", ["1"] * 4)


@pytest.mark.parametrize("rules", [Rules(rollback_while_baking_allowed=False)])
def test_where_what_bakes_cannot_be_rolled_back_the_way_out_is_told(account: Account) -> None:
    bake(account)
    result = account.run(state="rolled_back")
    assert result["failed"] is True
    assert result.get("changed", False) is False
    assert "Cancel it, then start another one" in result["msg"]
    assert account.statuses() == ["Baking"]


def test_a_rollback_under_way_is_left_alone_adopted_by_nobody_and_can_be_cancelled(account: Account) -> None:
    bake(account)
    account.run(state="rolled_back")
    again = account.run(state="rolled_back", check=True, diff=True)
    assert (again["changed"], again["refresh"]["status"]) == (False, "RollbackInProgress")
    assert again["diff"]["before"] == again["diff"]["after"]
    assert "cannot be adopted" in account.run(desired_configuration=version(2), on_active="adopt")["msg"]
    # The end of the rollback is awaited, and no second one is asked for.
    result = account.follow(desired_configuration=version(3), on_active="rollback", preferences=BAKE, wait=False)
    assert (result["changed"], account.statuses()) == (True, ["Pending", "RollbackSuccessful"])
    account.run(state="cancelled", wait_for_transitioning_instances=False)
    cancelling = account.run(state="cancelled")
    assert (cancelling["changed"], cancelling["reason"]) == (False, "the refresh is being cancelled")
    assert "being cancelled" in account.run(state="rolled_back")["msg"]


@pytest.mark.parametrize(("wait", "status"), [(True, "Cancelling"), (False, "Cancelled")])
def test_a_cancel_waits_for_instances_under_way_or_does_not(account: Account, wait: bool, status: str) -> None:
    hook = {"LifecycleHookName": "launch", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"}
    account.client("autoscaling").put_lifecycle_hook(AutoScalingGroupName=GROUP, **hook)
    account.run(desired_configuration=version(2), preferences={"min_healthy_percentage": 0})
    account.harness.advance(5)
    account.run(state="cancelled", wait_for_transitioning_instances=wait)
    account.harness.advance(1)
    assert account.statuses() == [status]
    result = account.follow(state="cancelled")
    assert (result["changed"], result["refresh"]["status"]) == (False, "Cancelled")


def test_check_mode_returns_the_refresh_as_it_would_be(account: Account) -> None:
    result = account.run(check=True, desired_configuration=version(2), preferences=SLOW)
    assert result["refresh"]["status"] == "Pending"
    assert result["refresh"]["preferences"]["checkpoint_percentages"] == [25, 100]
    assert "instance_refresh_id" not in result["refresh"]


def test_each_news_ends_a_call_that_has_a_context(account: Account) -> None:
    asked: dict[str, t.Any] = {"desired_configuration": version(2), "preferences": SLOW}
    result = account.follow(context={}, **asked)
    lines = list(result["lines"])
    while not result["done"]:
        result = account.follow(context=result["context"], **asked)
        lines += result["lines"]
    assert (result["changed"], account.statuses()) == (True, ["Successful"])
    assert (lines[0].split(":")[0], lines[-1].split(":")[0]) == ("Pending", "Successful")
    assert any("checkpoint at 25%" in line for line in lines)
    whole = account.follow(desired_configuration=version(3), preferences=SLOW)
    assert [line.split(".")[0] for line in whole["lines"]] == [line.split(".")[0] for line in lines]


def test_a_refresh_that_ends_before_it_is_cancelled_needs_no_cancel(account: Account) -> None:
    account.run(desired_configuration=version(2), preferences={"min_healthy_percentage": 0})
    late = Between(account, "CancelInstanceRefresh", lambda: account.harness.advance(120))
    result = late.follow(state="cancelled")
    assert (result["changed"], result["reason"], account.statuses()) == (False, "no refresh is active", ["Successful"])


def test_a_refresh_that_begins_before_the_wanted_one_is_met_as_asked(account: Account) -> None:
    def begin() -> None:
        account.run(desired_configuration=version(2), preferences=SLOW)

    refused = Between(account, "StartInstanceRefresh", begin)
    with pytest.raises(FleetError) as caught:
        refused.follow(desired_configuration=version(3))
    assert "on_active" in caught.value.message
    assert caught.value.details.get("changed", False) is False
    account.follow(state="cancelled")
    adopted = Between(account, "StartInstanceRefresh", begin)
    result = adopted.follow(desired_configuration=version(2), on_active="adopt", preferences=SLOW, wait=False)
    assert (result["changed"], account.statuses()) == (False, ["Pending", "Cancelled"])


def test_what_was_done_before_a_failure_is_a_change(account: Account) -> None:
    account.run(desired_configuration=version(2), preferences=SLOW)
    with pytest.raises(FleetError) as caught:
        account.follow(desired_configuration=version(9), on_active="cancel")
    assert caught.value.details["changed"] is True
    assert account.statuses() == ["Cancelled"]


def test_a_wait_that_cannot_be_waited(account: Account) -> None:
    for option, value in (("poll_seconds", 0), ("wait_timeout", -1)):
        result = account.run(state="cancelled", **{option: value})
        assert result["failed"] is True
        assert result["msg"].startswith(f"{option} is {value}")
    for state in ("started", "cancelled", "rolled_back"):
        assert account.run(state=state, name="n" * 256)["msg"].startswith("name is 'nnn")


def test_root_volumes_are_replaced_in_place(account: Account) -> None:
    def policy(image: str) -> dict[str, t.Any]:
        template = {"name": GROUP, "version": "1"}
        return {"launch_template": template, "overrides": [{"instance_type": "g4dn.xlarge", "image_id": image}]}

    first = {"mixed_instances_policy": policy("ami-12345678")}
    assert "no mixed instances policy" in account.run(strategy="ReplaceRootVolume", desired_configuration=first)["msg"]
    account.follow(desired_configuration=first, preferences={"min_healthy_percentage": 0})
    before = {row["InstanceId"] for row in account.group()["Instances"]}
    asked: dict[str, t.Any] = {
        "strategy": "ReplaceRootVolume",
        "desired_configuration": {"mixed_instances_policy": policy("ami-1234abcd")},
        "preferences": {"min_healthy_percentage": 0, "skip_matching": True},
    }
    result = account.follow(**asked)
    assert (result["refresh"]["strategy"], result["refresh"]["outcome"]) == ("ReplaceRootVolume", "succeeded")
    assert {row["InstanceId"]: row["ImageId"] for row in account.group()["Instances"]} == dict.fromkeys(
        before, "ami-1234abcd"
    )
    again = account.run(**asked)
    assert (again["changed"], len(account.statuses())) == (False, 2)


def test_a_wait_outlasts_passing_faults_and_reports_others(account: Account) -> None:
    asked: dict[str, t.Any] = {"desired_configuration": version(2), "preferences": SLOW}
    first = account.follow(context={}, **asked)
    fault = {"service": "autoscaling", "operation": "DescribeInstanceRefreshes"}
    account.harness.world.faults.replace([{**fault, "kind": "throttle", "times": 6}, {**fault, "kind": "denied"}])
    with pytest.raises(FleetError) as caught:
        account.follow(context=first["context"], **asked)
    assert "access denied" in caught.value.message
    assert caught.value.details["changed"] is True
    account.harness.world.faults.replace([{**fault, "kind": "throttle", "times": 6}])
    result = account.follow(context={**first["context"], "since": account.now().isoformat()}, **asked)
    assert result["refresh"]["status"] == "InProgress"


def test_the_active_one_is_ended_and_the_wanted_one_started_call_by_call(account: Account) -> None:
    account.run(desired_configuration=version(2), preferences=SLOW)
    account.harness.advance(60)
    asked: dict[str, t.Any] = {"desired_configuration": version(3), "on_active": "rollback", "preferences": BAKE}
    result = account.follow(context={}, **asked)
    assert result["lines"][0].startswith("RollbackInProgress: ")
    lines = list(result["lines"])
    while not result["done"]:
        result = account.follow(context=result["context"], **asked)
        lines += result["lines"]
    assert (result["changed"], account.statuses()) == (True, ["Successful", "RollbackSuccessful"])
    assert any(line.startswith("Baking: 100 % done") for line in lines)
    assert account.versions() == ["3"] * 4
