# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as a user meets it, against a group whose instances really go and come."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError, WaitTimeout

from .conftest import GROUP, Account, version

SLOW = {"checkpoint_percentages": [25, 100], "checkpoint_delay": 600, "min_healthy_percentage": 75}


def test_a_start_is_a_change_and_a_second_one_adopts_it(account: Account) -> None:
    asked: dict[str, t.Any] = {"desired_configuration": version(2), "preferences": SLOW, "on_active": "adopt"}
    first = account.run(**asked)
    assert first["changed"] is True
    assert first["refresh"]["outcome"] == "in_progress"
    second = account.run(**asked)
    assert (second["changed"], second["refresh"]["instance_refresh_id"]) == (
        False,
        first["refresh"]["instance_refresh_id"],
    )
    assert len(account.statuses()) == 1


@pytest.mark.parametrize("on_active", ["fail", "adopt"])
def test_a_foreign_refresh_is_left_alone_and_named(account: Account, on_active: str) -> None:
    running = account.run(desired_configuration=version(2), preferences=SLOW)["refresh"]["instance_refresh_id"]
    result = account.run(desired_configuration=version(3), on_active=on_active)
    assert result["failed"] is True
    assert running in result["msg"]
    assert "on_active" in result["msg"]
    assert len(account.statuses()) == 1


@pytest.mark.parametrize("check", [True, False])
def test_check_mode_says_what_then_happens(account: Account, check: bool) -> None:
    result = account.run(check=check, diff=True, desired_configuration=version(2))
    assert result["changed"] is True
    assert result["diff"]["before"] == {
        "group": GROUP,
        "status": None,
        "strategy": None,
        "desired_configuration": None,
        "preferences": None,
    }
    assert result["diff"]["after"]["status"] == "Pending"
    assert result["diff"]["after"]["desired_configuration"] == {
        "LaunchTemplate": {"LaunchTemplateName": GROUP, "Version": "2"}
    }
    assert len(account.statuses()) == (0 if check else 1)


def test_nothing_to_replace_is_no_change(account: Account) -> None:
    asked: dict[str, t.Any] = {"desired_configuration": version(1), "preferences": {"skip_matching": True}}
    result = account.run(**asked)
    assert (result["changed"], account.statuses()) == (False, [])
    assert "already runs" in result["reason"]


def test_waits_for_the_end_and_replaces_every_instance(account: Account) -> None:
    result = account.follow(desired_configuration=version(2))
    assert (result["changed"], result["refresh"]["outcome"]) == (True, "succeeded")
    assert account.versions() == ["2"] * 4
    assert account.group()["LaunchTemplate"]["Version"] == "2"


def test_a_wait_that_runs_out_returns_the_last_state(account: Account) -> None:
    with pytest.raises(WaitTimeout) as caught:
        account.follow(desired_configuration=version(2), preferences=SLOW, wait_timeout=60)
    details = caught.value.details
    assert details["elapsed"] >= 60
    assert details["changed"] is True
    assert details["refresh"]["status"] == "InProgress"
    assert "instance_refresh_info" in caught.value.message


def test_cancel_leaves_what_was_replaced(account: Account) -> None:
    account.run(desired_configuration=version(2), preferences=SLOW)
    account.harness.advance(120)
    assert account.run(state="cancelled", check=True)["changed"] is True
    assert account.statuses() == ["InProgress"]
    result = account.follow(state="cancelled")
    assert (result["changed"], result["refresh"]["outcome"]) == (True, "cancelled")
    assert account.versions() == ["1", "1", "1", "2"]
    again = account.run(state="cancelled")
    assert (again["changed"], again["refresh"]["status"]) == (False, "Cancelled")


def test_roll_back_returns_every_instance(account: Account) -> None:
    account.run(desired_configuration=version(2), preferences=SLOW)
    account.harness.advance(120)
    result = account.follow(state="rolled_back")
    assert (result["changed"], result["refresh"]["outcome"]) == (True, "rolled_back")
    assert account.versions() == ["1"] * 4
    again = account.run(state="rolled_back")
    assert (again["changed"], again["refresh"]["outcome"]) == (False, "rolled_back")


def test_a_start_that_is_rolled_back_fails(account: Account) -> None:
    account.run(desired_configuration=version(2), preferences=SLOW)
    account.harness.advance(60)
    account.run(state="rolled_back")
    with pytest.raises(FleetError) as caught:
        account.follow(desired_configuration=version(2), on_active="adopt")
    assert "RollbackInProgress" in caught.value.message


@pytest.mark.parametrize("preferences", [{}, SLOW], ids=["never started", "finished"])
def test_nothing_to_roll_back_says_what_to_do(account: Account, preferences: dict[str, t.Any]) -> None:
    if preferences:
        account.follow(desired_configuration=version(2))
    result = account.run(state="rolled_back")
    assert result["failed"] is True
    assert "state=started" in result["msg"]


def test_a_refresh_without_a_way_back_is_not_rolled_back(account: Account) -> None:
    account.run(preferences=SLOW)
    result = account.run(state="rolled_back", check=True)
    assert result["failed"] is True
    assert "no desired configuration" in result["msg"]


@pytest.mark.parametrize(("on_active", "ended"), [("cancel", "Cancelled"), ("rollback", "RollbackSuccessful")])
def test_another_refresh_is_ended_first(account: Account, on_active: str, ended: str) -> None:
    account.run(desired_configuration=version(2), preferences=SLOW)
    account.harness.advance(60)
    account.follow(desired_configuration=version(3), on_active=on_active)
    assert account.statuses() == ["Successful", ended]
    assert account.versions() == ["3"] * 4


def test_options_beyond_the_limits_change_nothing(account: Account) -> None:
    result = account.run(desired_configuration=version(2), preferences={"max_healthy_percentage": 150})
    assert result["failed"] is True
    assert "min_healthy_percentage" in result["msg"]
    assert account.statuses() == []


def test_a_group_that_is_not_there_is_named(account: Account) -> None:
    for info in (True, False):
        result = account.run(name="sd-inference-other", info=info)
        assert result["failed"] is True
        assert "sd-inference-other" in result["msg"]


def test_info_interprets_and_filters(account: Account) -> None:
    assert account.run(info=True)["refreshes"] == []
    account.follow(desired_configuration=version(2))
    account.run(desired_configuration=version(3), preferences=SLOW)
    listed = account.run(info=True)
    assert [row["outcome"] for row in listed["refreshes"]] == ["in_progress", "succeeded"]
    assert listed["active"] == listed["refreshes"][0]
    assert listed["changed"] is False
    succeeded = account.run(info=True, outcomes=["succeeded"], limit=1)
    assert [row["outcome"] for row in succeeded["refreshes"]] == ["succeeded"]
    assert succeeded["active"]["outcome"] == "in_progress"
    oldest = listed["refreshes"][1]["instance_refresh_id"]
    by_id = account.run(info=True, ids=[oldest])
    assert [row["instance_refresh_id"] for row in by_id["refreshes"]] == [oldest]
    assert by_id["active"] == listed["active"]
    assert account.run(info=True, limit=0)["msg"].startswith("limit is 0")
