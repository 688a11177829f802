# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollback from anywhere, under both readings of what AWS leaves open; and the runs that die at its very end."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._release.module import run_release
from local_aws.harness import Harness
from local_aws.settings import Rules
from tests.support.fleet import Fleet, make_fleet, make_harness

READINGS = [
    Rules(),
    Rules(
        skip_matching_after_cancel_is_immediate=True,
        native_rollback_covers_earlier_refreshes=False,
        rollback_while_baking_allowed=False,
        checkpoints_count_matching=False,
    ),
]
PAUSING: dict[str, t.Any] = {"version": "1.1.0", "steps": [{"percentage": 34, "pause": True}, 100]}


@pytest.fixture(params=range(len(READINGS)))
def reading(request: pytest.FixtureRequest) -> t.Iterator[Fleet]:
    """A small fleet under one reading of each unclear rule, and under the other."""
    with make_harness(READINGS[request.param]) as harness:
        yield make_fleet(harness, 3)


@pytest.fixture
def three(harness: Harness) -> Fleet:
    """A small fleet under the usual reading."""
    return make_fleet(harness, 3)


def is_back(fleet: Fleet) -> None:
    """Everything runs 1.0.0 and nothing is left of the release."""
    assert fleet.versions() == ["1.0.0"] * len(fleet.versions())
    assert len(fleet.versions()) == fleet.group()["DesiredCapacity"]
    assert (fleet.parameter("image-version"), fleet.parameter("deployment-status")) == ("1.0.0", "stable")
    assert (fleet.locks(), fleet.ledger.ending) == ([], None)
    stable = fleet.ledger.stable
    assert stable is not None
    assert fleet.group()["LaunchTemplate"]["Version"] == stable.template_version


@pytest.mark.parametrize(
    "moment",
    [
        "taking the lock",
        "preparing the smoke queue",
        "starting the instance refresh",
        "step 1/2 (34 %",
        "step 2/2 (100 %",
        "is stable",
    ],
)
def test_rollback_at_any_moment_of_a_release(three: Fleet, moment: str) -> None:
    three.start(lambda line: moment in line, version="1.1.0", steps=["34", "100"])
    three.release(state="rolled_back", reason="changed my mind")
    if moment == "taking the lock":
        assert three.versions() == ["1.0.0"] * 3
    else:
        is_back(three)


def test_rollback_in_the_bake_under_each_reading(reading: Fleet) -> None:
    reading.start(lambda line: "step 2/2 (100 %" in line and "judging" in line, version="1.1.0", steps=["34", "100"])
    reading.release(state="rolled_back")
    is_back(reading)


def test_a_promoted_release_that_turns_bad_goes_back_whole_under_each_reading(reading: Fleet) -> None:
    assert reading.release(**PAUSING)["outcome"] == "paused"
    reading.traffic.failing.add("1.1.0")
    with pytest.raises(FleetError, match=r"1\.1\.0 was rolled back"):
        reading.release(state="promoted")
    is_back(reading)


def test_a_promoted_release_succeeds_under_each_reading(reading: Fleet) -> None:
    reading.release(**PAUSING)
    scale(reading, 5)
    reading.sleep(30)
    assert reading.release(state="promoted")["outcome"] == "succeeded"
    assert reading.versions() == ["1.1.0"] * 5


def test_rollback_after_somebody_has_cancelled_the_refresh(reading: Fleet) -> None:
    reading.start(lambda line: "reached, judging" in line, version="1.1.0", steps=["34", "100"])
    reading.client("autoscaling").cancel_instance_refresh(AutoScalingGroupName=reading.names.group)
    reading.sleep(30)
    reading.release(state="rolled_back")
    is_back(reading)


def test_rollback_after_success_and_after_a_second_failed_deploy(three: Fleet) -> None:
    three.release(version="1.1.0", percentage="100")
    three.build("1.2.0")
    three.traffic.failing.add("1.2.0")
    for _unused in range(2):
        with pytest.raises(FleetError, match=r"1\.2\.0 was rolled back"):
            three.release(version="1.2.0", percentage="50", retry_rejected=True)
    three.release(state="rolled_back")
    is_back(three)


def history_of_three(fleet: Fleet) -> None:
    """1.0.0, 1.1.0 and 1.2.0 were stable, in this order; 1.3.0 is pushed."""
    for version in ("1.1.0", "1.2.0", "1.3.0"):
        if version != "1.1.0":
            fleet.build(version)
        if version != "1.3.0":
            fleet.release(version=version, percentage="100")


def delete_template_of(fleet: Fleet, version: str) -> None:
    """Delete the launch template version of an image version."""
    ec2 = fleet.client("ec2")
    rows = ec2.describe_launch_template_versions(LaunchTemplateName=fleet.names.group)["LaunchTemplateVersions"]
    for row in rows:
        tags = [tag for spec in row["LaunchTemplateData"].get("TagSpecifications", ()) for tag in spec["Tags"]]
        if {"Key": "ImageVersion", "Value": version} in tags:
            number = str(row["VersionNumber"])
            ec2.delete_launch_template_versions(LaunchTemplateName=fleet.names.group, Versions=[number])


def test_a_deleted_template_is_refused_and_the_next_in_history_offered(three: Fleet) -> None:
    history_of_three(three)
    delete_template_of(three, "1.1.0")
    with pytest.raises(FleetError, match=r"Version 1\.1\.0 cannot be returned to: .* -e to_version=1\.0\.0\."):
        three.release(state="rolled_back")
    assert three.versions() == ["1.2.0"] * 3
    three.release(state="rolled_back", to_version="1.0.0")
    is_back(three)


def test_with_a_release_open_a_named_version_passes_the_stable_one_over(three: Fleet) -> None:
    history_of_three(three)
    three.start(lambda line: "reached, judging" in line, version="1.3.0", steps=["34", "100"])
    with pytest.raises(FleetError, match=r"to_version=9\.9\.9 was never stable here"):
        three.release(state="rolled_back", to_version="9.9.9")
    with pytest.raises(FleetError, match=r"to_version=1\.3\.0 is what is open itself"):
        three.release(state="rolled_back", to_version="1.3.0")
    assert three.parameter("deployment-status") == "in-progress"
    three.release(state="rolled_back", to_version="1.0.0", reason="both are bad")
    is_back(three)
    assert {item.version for item in three.ledger.rejected} == {"1.2.0", "1.3.0"}
    assert three.parameter("previous-version") == "none"


def test_with_a_release_open_and_the_stable_template_deleted_another_one_is_offered(three: Fleet) -> None:
    history_of_three(three)
    three.release(version="1.3.0", steps=[{"percentage": 34, "pause": True}, 100])
    delete_template_of(three, "1.2.0")
    provision_again(three, SD_NOOP_MS="5")
    with pytest.raises(FleetError, match=r"Version 1\.2\.0 cannot be returned to: .* -e to_version=1\.1\.0\."):
        three.release(state="rolled_back")
    three.release(state="rolled_back", to_version="1.1.0")
    assert three.versions() == ["1.1.0"] * 3


def provision_again(fleet: Fleet, **environment: str) -> None:
    """Other host settings, of which today's releases would become others; without any, those of before."""
    ssm, name = fleet.client("ssm"), fleet.names.host
    host = json.loads(ssm.get_parameter(Name=name)["Parameter"]["Value"])
    host["worker_env"] = {"SD_ENGINE": "noop", **environment}
    ssm.put_parameter(Name=name, Value=json.dumps(host), Type="String", Overwrite=True)


def template_of_stable(fleet: Fleet) -> str | None:
    """The number that the ledger has."""
    return fleet.ledger.stable.template_version if fleet.ledger.stable else None


@pytest.mark.parametrize("moment", ["reached, judging", "paused", "giving the open release up"])
def test_the_stable_template_is_made_again_where_it_comes_out_the_same(three: Fleet, moment: str) -> None:
    if moment == "paused":
        three.release(**PAUSING)
    else:
        three.start(lambda line: "reached, judging" in line, version="1.1.0", steps=["34", "100"])
    if moment.startswith("giving"):
        three.start(lambda line: moment in line, state="rolled_back")
    before, identity = template_of_stable(three), three.ledger.stable and three.ledger.stable.release_id
    delete_template_of(three, "1.0.0")
    said = three.predict(state="rolled_back")
    assert said["changed"]
    assert said["lines"][0].startswith(
        f"would start by template version {before} of 1.0.0 was deleted: making it again"
    )
    assert said["lines"][1] == "would give up the open release of 1.1.0 and return to 1.0.0"
    result = three.release(state="rolled_back")
    line = f"template version {before} of 1.0.0 was deleted: making it again, as release {identity}"
    assert result["lines"].count(line) == 1
    assert (three.ledger.stable and three.ledger.stable.release_id, template_of_stable(three) != before) == (
        identity,
        True,
    )
    is_back(three)


def test_a_candidate_that_fails_goes_back_to_a_template_that_is_made_again(three: Fleet) -> None:
    three.start(lambda line: "reached, judging" in line, version="1.1.0", percentage="34")
    delete_template_of(three, "1.0.0")
    three.traffic.failing.add("1.1.0")
    with pytest.raises(FleetError, match=r"1\.1\.0 was rolled back"):
        three.release(version="1.1.0")
    is_back(three)


def test_a_template_made_by_a_run_that_died_is_found_again(three: Fleet) -> None:
    three.release(**PAUSING)
    delete_template_of(three, "1.0.0")
    stable = three.ledger.stable
    assert stable is not None
    ec2, where = three.client("ec2"), {"LaunchTemplateName": three.names.group}
    made = ec2.create_launch_template_version(
        **where, SourceVersion="3", VersionDescription=f"release {stable.release_id}", LaunchTemplateData={}
    )["LaunchTemplateVersion"]["VersionNumber"]
    three.start(lambda line: "making it again" in line, state="rolled_back")
    assert template_of_stable(three) == str(made)
    assert len(ec2.describe_launch_template_versions(**where)["LaunchTemplateVersions"]) == 3


def test_where_it_would_be_another_release_the_sentence_says_how_to_get_it_back(three: Fleet) -> None:
    three.release(**PAUSING)
    delete_template_of(three, "1.0.0")
    provision_again(three, SD_NOOP_MS="5")
    said = r"would make another release of it\. Write back .* get-parameter-history --name /sd-inference/demo/host"
    with pytest.raises(FleetError, match=said):
        three.release(state="rolled_back")
    assert (three.parameter("deployment-status"), len(three.versions())) == ("in-progress", 3)
    provision_again(three)  # which is what it says
    three.release(state="rolled_back")
    is_back(three)


def test_what_refreshes_cannot_replace_is_ended_a_few_at_a_time(three: Fleet) -> None:
    three.release(version="1.1.0", percentage="100")
    by_requirements(three)  # StartInstanceRefresh then takes no desired configuration
    result = three.release(state="rolled_back")
    said = "going back: ending 1 of 3 instances that refreshes left; 2 of 3 stay in service meanwhile, below 90 %"
    assert any(line.startswith(said) for line in result["lines"])
    assert three.versions() == ["1.0.0"] * 3
    assert (three.parameter("image-version"), three.locks()) == ("1.0.0", [])


def by_requirements(fleet: Fleet) -> None:
    """Let the group choose its instance types by requirements."""
    stable = fleet.ledger.stable
    assert stable is not None
    launch = {"LaunchTemplateName": fleet.names.group, "Version": stable.template_version}
    requirements = {"VCpuCount": {"Min": 4}, "MemoryMiB": {"Min": 16384}}
    policy = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": launch,
            "Overrides": [{"InstanceRequirements": requirements}],
        }
    }
    fleet.client("autoscaling").update_auto_scaling_group(
        AutoScalingGroupName=fleet.names.group, MixedInstancesPolicy=policy
    )


@pytest.mark.parametrize("failed", [False, True])
def test_a_rollback_repeated_after_its_run_died_at_the_end_goes_no_further(three: Fleet, failed: bool) -> None:
    history_of_three(three)
    if failed:
        three.traffic.failing.add("1.3.0")
    wish = {"version": "1.3.0", "percentage": "100"} if failed else {"state": "rolled_back"}
    three.start(lambda line: "was rolled back" in line, **wish)
    expected = "1.2.0" if failed else "1.1.0"
    assert three.ledger.ending is not None
    assert three.parameter("image-version") == expected

    result = three.release(state="rolled_back")
    assert "that was complete when its run died; nothing more was done" in result["lines"][-1]
    assert (three.parameter("image-version"), three.ledger.ending, three.locks()) == (expected, None, [])

    three.release(state="rolled_back")
    assert three.parameter("image-version") == ("1.1.0" if failed else "1.0.0")


def test_checks_say_what_a_rollback_and_a_promotion_then_do(three: Fleet) -> None:
    three.release(**PAUSING)
    before = (three.ledger, three.group(), three.locks())
    promote, back = ({"state": "promoted"}, {"state": "rolled_back"})
    said = [run_release(three, three.params(**wish), check_mode=True, clock=three)["lines"] for wish in (promote, back)]
    assert (three.ledger, three.group(), three.locks()) == before
    assert said[0][0].startswith("would promote 1.1.0, which is paused: after step 1/2 as planned")
    assert "100 %: 3 of 3 instances" in said[0]
    assert said[1][0] == "would give up the open release of 1.1.0 and return to 1.0.0"


def scale(fleet: Fleet, size: int) -> None:
    """Set the desired capacity, as an alarm would."""
    fleet.client("autoscaling").set_desired_capacity(AutoScalingGroupName=fleet.names.group, DesiredCapacity=size)


def test_a_failed_candidate_is_left_to_serve_where_nothing_could_replace_it(harness: Harness) -> None:
    fleet = make_fleet(harness, 3)
    fleet.start(lambda line: "reached, judging" in line, version="1.1.0", percentage="34")
    stable = fleet.ledger.stable
    versions = [stable.template_version] if stable and stable.template_version else []
    fleet.client("ec2").delete_launch_template_versions(LaunchTemplateName=fleet.names.group, Versions=versions)
    provision_again(fleet, SD_NOOP_MS="5")
    fleet.traffic.failing.add("1.1.0")
    for _unused in range(2):  # and whoever comes next leaves it as well
        with pytest.raises(FleetError, match="template version 2 of sd-inference-demo was deleted"):
            fleet.release(version="1.1.0")
    assert (len(fleet.versions()), "1.1.0" in fleet.versions()) == (3, True)
