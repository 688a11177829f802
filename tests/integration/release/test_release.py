# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases from beginning to end on virtual time: success, failure, rollback, nothing to do."""

from __future__ import annotations

import json

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._release.module import run_release
from local_aws.harness import Harness
from tests.support.fleet import ACCOUNT, TIMING, Fleet


def test_a_first_release_fills_the_empty_group(fleet: Fleet) -> None:
    assert fleet.versions() == ["1.0.0"] * 5
    assert fleet.ledger.stable is not None
    assert fleet.parameter("image-version") == "1.0.0"
    assert fleet.parameter("previous-version") == "none"
    assert fleet.parameter("deployment-status") == "stable"
    assert fleet.locks() == []


def test_a_first_release_that_fails_leaves_an_empty_group(harness: Harness) -> None:
    fleet = Fleet(harness, 3)
    fleet.build("1.0.0")
    fleet.traffic.failing.add("1.0.0")
    with pytest.raises(FleetError, match=r"1\.0\.0 was rolled back: (\d+) of \1 jobs failed"):
        fleet.release(version="1.0.0")
    assert fleet.group()["Instances"] == []
    assert fleet.group()["DesiredCapacity"] == 0
    assert fleet.group()["LaunchTemplate"]["Version"] == "1"
    assert fleet.parameter("image-version") == "none"
    assert [item.version for item in fleet.ledger.rejected] == ["1.0.0"]


def test_a_good_version_becomes_stable_and_the_old_one_previous(fleet: Fleet) -> None:
    result = fleet.release(version="1.1.0", percentage="50")
    assert (result["outcome"], result["changed"]) == ("succeeded", True)
    assert fleet.versions() == ["1.1.0"] * 5
    assert fleet.parameter("image-version") == "1.1.0"
    assert fleet.parameter("previous-version") == "1.0.0"
    assert fleet.locks() == []


def test_the_newest_image_is_released_when_no_version_is_given(fleet: Fleet) -> None:
    fleet.release(percentage="100")
    assert fleet.versions() == ["1.1.0"] * 5


def test_a_second_run_changes_nothing(fleet: Fleet) -> None:
    result = fleet.release(version="1.0.0")
    assert not result["changed"]
    assert result["lines"] == ["1.0.0 is stable already; nothing to do"]


def test_a_version_whose_jobs_fail_goes_back_at_the_first_step(fleet: Fleet) -> None:
    fleet.traffic.failing.add("1.1.0")
    with pytest.raises(FleetError, match="more than on stable") as caught:
        fleet.release(version="1.1.0", percentage="20")
    assert caught.value.details["outcome"] == "rolled_back"
    assert fleet.versions() == ["1.0.0"] * 5
    assert fleet.parameter("deployment-status") == "stable"
    stable = fleet.ledger.stable
    assert stable is not None
    assert fleet.group()["LaunchTemplate"]["Version"] == stable.template_version
    record = history(fleet, 2)
    assert [row["step"] for row in record["verdicts"]] == [1]
    assert record["verdicts"][0]["candidate"]["failed"] >= 2


def test_a_slow_version_goes_back(fleet: Fleet) -> None:
    fleet.traffic.slow.add("1.1.0")
    with pytest.raises(FleetError, match=r"drawing takes 3\.00 times as long as on stable"):
        fleet.release(version="1.1.0", percentage="20")
    assert fleet.versions() == ["1.0.0"] * 5


def test_a_version_that_never_comes_up_goes_back_without_waiting_for_aws(fleet: Fleet) -> None:
    fleet.timing = {**TIMING, "poll": 5}
    fleet.never_boots("1.1.0")
    with pytest.raises(FleetError, match="2 instances of the candidate did not come into service"):
        fleet.release(version="1.1.0", percentage="20")
    assert fleet.versions() == ["1.0.0"] * 5


def test_a_step_without_jobs_is_not_passed(fleet: Fleet) -> None:
    fleet.traffic.jobs_per_second = 0
    with pytest.raises(FleetError, match="no verdict within 80 s: 0 of the 5 finished jobs needed"):
        fleet.release(version="1.1.0", percentage="20")
    assert fleet.versions() == ["1.0.0"] * 5


def test_a_step_without_jobs_is_passed_when_asked(fleet: Fleet) -> None:
    fleet.traffic.jobs_per_second = 0
    fleet.release(version="1.1.0", percentage="100", on_inconclusive="pass")
    assert fleet.versions() == ["1.1.0"] * 5


def test_a_rejected_version_is_refused_until_insisted(fleet: Fleet) -> None:
    fleet.traffic.failing.add("1.1.0")
    with pytest.raises(FleetError):
        fleet.release(version="1.1.0", percentage="20")
    with pytest.raises(FleetError, match=r"version=1\.1\.0 was rejected before .* -e retry_rejected=true"):
        fleet.release(version="1.1.0", percentage="20")
    assert fleet.release()["lines"] == ["1.0.0 is stable already; nothing to do"]

    fleet.traffic.failing.clear()
    fleet.release(version="1.1.0", percentage="100", retry_rejected=True)
    assert fleet.versions() == ["1.1.0"] * 5
    assert fleet.ledger.rejected == ()


def test_rollback_by_hand_and_a_second_one(fleet: Fleet) -> None:
    fleet.release(version="1.1.0", percentage="100")
    result = fleet.release(state="rolled_back", reason="too dark")
    assert (result["changed"], result["outcome"]) == (True, "rolled_back")
    assert fleet.versions() == ["1.0.0"] * 5
    assert fleet.parameter("previous-version") == "none"
    assert [(item.version, item.reason) for item in fleet.ledger.rejected] == [("1.1.0", "too dark")]

    again = fleet.release(state="rolled_back")
    assert not again["changed"]
    assert "there is nothing to roll back to" in again["lines"][0]


def test_rollback_to_a_version_of_the_past(fleet: Fleet) -> None:
    fleet.release(version="1.1.0", percentage="100")
    fleet.build("1.2.0")
    fleet.release(version="1.2.0", percentage="100")
    fleet.release(state="rolled_back", to_version="1.0.0")
    assert fleet.versions() == ["1.0.0"] * 5
    assert fleet.parameter("previous-version") == "none"
    with pytest.raises(FleetError, match=r"to_version=9\.9\.9 was never stable here.*offered: 1\.1\.0"):
        fleet.release(state="rolled_back", to_version="9.9.9")


def test_rollback_twice_goes_two_releases_back(fleet: Fleet) -> None:
    fleet.release(version="1.1.0", percentage="100")
    fleet.build("1.2.0")
    fleet.release(version="1.2.0", percentage="100")
    fleet.release(state="rolled_back")
    assert (fleet.parameter("image-version"), fleet.parameter("previous-version")) == ("1.1.0", "1.0.0")
    fleet.release(state="rolled_back")
    assert (fleet.parameter("image-version"), fleet.parameter("previous-version")) == ("1.0.0", "none")
    assert fleet.versions() == ["1.0.0"] * 5


def test_rollback_refuses_a_deleted_template_version(fleet: Fleet) -> None:
    fleet.release(version="1.1.0", percentage="100")
    previous = fleet.ledger.previous
    assert previous is not None
    fleet.client("ec2").delete_launch_template_versions(
        LaunchTemplateName=fleet.names.group, Versions=[previous.template_version]
    )
    with pytest.raises(FleetError, match=r"Version 1\.0\.0 cannot be returned to: template version 2 .* was deleted"):
        fleet.release(state="rolled_back")
    assert fleet.versions() == ["1.1.0"] * 5


def test_check_mode_changes_nothing_and_predicts(fleet: Fleet) -> None:
    before = (fleet.ledger, fleet.group(), fleet.locks())
    predicted = run_release(fleet, fleet.params(version="1.1.0", percentage="40"), check_mode=True, clock=fleet)
    assert (fleet.ledger, fleet.group(), fleet.locks()) == before
    assert predicted["changed"]
    assert predicted["diff"]["before"] == "stable: 1.0.0\n"
    assert predicted["diff"]["after"].startswith("stable: 1.1.0\n")
    fleet.release(version="1.1.0", percentage="40")
    recorded = history(fleet, 2)["plan"]
    assert {**recorded, "expected_seconds": 0} == {**predicted["plan"], "expected_seconds": 0}


def test_parameters_edited_by_hand_are_repaired(fleet: Fleet) -> None:
    fleet.client("ssm").put_parameter(Name=f"{fleet.names.root}/image-version", Value="6.6.6", Overwrite=True)
    result = fleet.release(version="1.0.0")
    assert result["changed"]
    assert "repairing parameters: image-version was 6.6.6, the ledger says 1.0.0" in result["lines"]
    assert fleet.parameter("image-version") == "1.0.0"


def history(fleet: Fleet, sequence: int) -> dict[str, object]:
    """The record of one release."""
    key = f"releases/{sequence:06d}.json"
    found = fleet.client("s3").get_object(Bucket=fleet.names.bucket(ACCOUNT), Key=key)
    return dict(json.loads(found["Body"].read()))
