# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of the older scripts, or one whose ledger is gone, is taken over by the first run."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError, InvalidInput, NotFound
from ansible_collections.diffusion.fleet.plugins.module_utils._release.module import run_release
from ansible_collections.diffusion.fleet.plugins.module_utils._release.status import read_status
from local_aws.harness import Harness
from tests.support.fleet import Fleet
from tests.support.predecessor import Predecessor, make_harness


@pytest.fixture
def older() -> t.Iterator[Harness]:
    """An account whose older hosts answer no lifecycle hook."""
    with make_harness() as harness:
        yield harness


@pytest.fixture
def old(older: Harness) -> Predecessor:
    """Two instances of 1.0.0 on template version 2, by way of ``$Latest``; provisioned, with 2.0.0 pushed."""
    old = Predecessor(older)
    old.provision()
    old.build("2.0.0")
    return old


def preview(fleet: Fleet, **wish: t.Any) -> list[str]:
    """The lines of --check."""
    return list(run_release(fleet, fleet.params(**wish), check_mode=True, clock=fleet)["lines"])


def test_before_provision_the_message_says_what_to_run(harness: Harness) -> None:
    old = Predecessor(harness)
    with pytest.raises(NotFound, match=r"run provision\.yml .*, then deploy\.yml\. The fleet runs 1\.0\.0 without a"):
        old.release(version="1.0.0")
    shown = read_status(old, "demo", 5, old.now())
    assert shown["stable"]["version"] == "1.0.0"
    assert shown["next"].startswith("provision.yml, then deploy.yml: the fleet has no ledger")
    assert any(line.startswith("  inferred  stable is 1.0.0: 2 of 2 instances") for line in shown["lines"])


def test_the_plan_says_what_was_inferred_and_changes_nothing(old: Predecessor) -> None:
    group = old.group()
    lines = preview(old, version="2.0.0", percentage="50")
    assert lines[0].startswith(
        "taking the fleet over: stable is 1.0.0: 2 of 2 instances in service run it (what image-version said when it "
        "was launched); its image is sha256:"
    )
    assert "the group's template is set from $Latest to 2, which these instances run" in lines[0]
    assert "previous is none: previous-version says 1.0.0" in lines[0]
    assert "would go from 1.0.0 to 2.0.0" in lines
    assert old.group() == group
    assert old.ledger.stable is None
    assert old.locks() == []


def test_the_first_deploy_takes_it_over_and_releases_also_after_a_run_that_died(old: Predecessor) -> None:
    ecr, name = old.client("ecr"), old.names.group
    manifest = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "2.0.0"}])["images"][0]["imageManifest"]
    ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag="latest")  # it moves: it is no version
    old.harness.world.faults.replace([{"kind": "denied", "service": "s3", "operation": "PutObject"}])
    with pytest.raises(FleetError):
        old.release(percentage="50")
    old.harness.world.faults.clear()
    assert old.group()["LaunchTemplate"]["Version"] == "2"

    result = old.release(percentage="50")
    assert any(line.startswith("taking the fleet over: stable is 1.0.0") for line in result["lines"])
    assert old.versions() == ["2.0.0"] * 2
    previous = old.ledger.previous
    assert previous is not None
    assert (previous.version, previous.template_version, previous.release_id[:7]) == ("1.0.0", "2", "adopted")
    shown = read_status(old, "demo", 5, old.now())
    assert [(row["kind"], row["version"]) for row in shown["history"]] == [("deploy", "2.0.0"), ("adoption", "1.0.0")]
    old.release(state="rolled_back", reason="too dark")
    assert set(old.asks_at_boot().values()) == {"1.0.0"}
    assert (old.parameter("image-version"), old.parameter("previous-version")) == ("1.0.0", "none")


def test_a_bad_first_deploy_goes_back_to_what_ran(old: Predecessor) -> None:
    old.traffic.failing.add("2.0.0")
    with pytest.raises(FleetError, match=r"2\.0\.0 was rolled back: .*every instance runs 1\.0\.0 again"):
        old.release(version="2.0.0", percentage="50")
    assert set(old.asks_at_boot().values()) == {"1.0.0"}
    assert old.group()["LaunchTemplate"]["Version"] == "2"
    assert old.parameter("deployment-status") == "stable"


def test_what_the_scripts_left_in_progress_for_ever_is_recognised(old: Predecessor) -> None:
    old.build("1.1.0")
    old.script_deploys("1.1.0")
    with pytest.raises(FleetError, match="was started by somebody else"):
        old.release(version="2.0.0")
    old.sleep(600)
    assert set(old.asks_at_boot().values()) == {"1.1.0"}
    lines = preview(old, version="2.0.0")
    assert "stable is 1.1.0: 2 of 2 instances" in lines[0]
    assert "deployment-status in-progress is a leftover: no instance refresh is active" in lines[0]
    assert (
        "previous-version says 1.0.0, but no launch template version carries it; deploy.yml -e version=1.0.0"
        in lines[0]
    )
    old.release(version="2.0.0", percentage="100")
    assert old.parameter("deployment-status") == "stable"
    assert old.versions() == ["2.0.0"] * 2


def test_a_version_that_was_written_and_never_ran_is_not_stable(old: Predecessor) -> None:
    old.write("previous-version", "1.0.0")
    old.write("image-version", "6.6.6")
    old.write("deployment-status", "in-progress")
    result = old.release(state="rolled_back")
    assert "stable is 1.0.0: 2 of 2 instances" in result["lines"][1]
    assert "image-version was 6.6.6, the ledger says 1.0.0" in "".join(result["lines"])
    assert "there is nothing to roll back to" in result["lines"][-1]
    assert result["changed"]
    assert old.parameter("image-version") == "1.0.0"
    assert old.group()["LaunchTemplate"]["Version"] == "2"


def test_a_previous_version_with_image_and_template_is_trusted(old: Predecessor) -> None:
    old.build("0.9.0")
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "ImageVersion", "Value": "0.9.0"}]}]
    old.client("ec2").create_launch_template_version(
        LaunchTemplateName=old.names.group, LaunchTemplateData=old.template(TagSpecifications=tags)
    )
    old.write("previous-version", "0.9.0")
    old.release(state="rolled_back")
    assert old.versions() == ["0.9.0"] * 2
    assert old.parameter("image-version") == "0.9.0"


def test_a_template_that_is_gone_or_has_another_name_is_refused_with_the_next_step(old: Predecessor) -> None:
    ec2, name = old.client("ec2"), old.names.group
    ec2.create_launch_template_version(LaunchTemplateName=name, LaunchTemplateData=old.template())
    ec2.delete_launch_template_versions(LaunchTemplateName=name, Versions=["2"])
    with pytest.raises(InvalidInput, match=r"run version 2 of launch template sd-inference-demo, which does not exist"):
        old.release(version="2.0.0")

    ec2.create_launch_template(LaunchTemplateName="Cdk-1A2B", LaunchTemplateData=old.template())
    template = {"LaunchTemplateName": "Cdk-1A2B", "Version": "1"}
    old.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=name, LaunchTemplate=template)
    with pytest.raises(InvalidInput, match="uses launch template Cdk-1A2B; releases need a launch template called"):
        old.release(version="2.0.0")
    assert old.locks() == []


def test_a_version_written_into_an_empty_fleet_is_nothing_to_take_over(harness: Harness) -> None:
    fleet = Fleet(harness, 2)
    fleet.build("1.0.0")
    fleet.client("ssm").put_parameter(Name=fleet.names.image_version, Value="1.0.0", Type="String", Overwrite=True)
    result = fleet.release(version="1.0.0")
    assert "repairing parameters: image-version was 1.0.0, the ledger says none" in result["lines"]
    assert (fleet.versions(), fleet.parameter("previous-version")) == (["1.0.0"] * 2, "none")


# ---------------------------------------------------------------- a fleet of ours that lost its ledger


def test_a_ledger_that_was_deleted_is_built_again_from_what_runs(fleet: Fleet) -> None:
    fleet.release(version="1.1.0", percentage="100")
    fleet.build("1.2.0")
    fleet.traffic.failing.add("1.2.0")
    with pytest.raises(FleetError):
        fleet.release(version="1.2.0", percentage="20")
    lost = fleet.ledger
    fleet.client("ssm").delete_parameter(Name=fleet.names.ledger)
    result = fleet.release(version="1.1.0")
    assert "stable is 1.1.0: 5 of 5 instances in service run it (by its tags)" in result["lines"][1]
    found = fleet.ledger
    assert lost.stable is not None
    assert lost.previous is not None
    assert found.stable is not None
    assert found.previous is not None
    assert (found.stable.release_id, found.stable.template_version) == (
        lost.stable.release_id,
        lost.stable.template_version,
    )
    assert found.previous.release_id == lost.previous.release_id
    assert [item.release_id for item in found.rejected] == [item.release_id for item in lost.rejected]
    assert fleet.versions() == ["1.1.0"] * 5


EDITED: tuple[tuple[t.Callable[[t.Any], str], str], ...] = (
    (lambda _record: "not json", "is not JSON"),
    (lambda record: json.dumps([record]), "is not a JSON object"),
    (lambda record: json.dumps(record | {"schema": 9}), "it has schema 9; this collection knows up to 1: update"),
    (lambda record: json.dumps(record | {"status": "fine"}), "status='fine' is none of stable, in-progress"),
    (lambda record: json.dumps(record | {"colour": "red"}), "colour is not a field of it"),
    (lambda record: json.dumps(record | {"stable": {"version": "1"}}), "stable lacks digest, release_id"),
    (lambda record: json.dumps(record | {"status": "in-progress"}), "status=in-progress needs candidate"),
    (lambda record: json.dumps(record | {"sequence": "two"}), "sequence='two' is not a whole number"),
    (lambda record: json.dumps(record | {"replayed": None}), "replayed=None is not a whole number"),
    (lambda record: json.dumps(record | {"passed_over": None}), "passed_over=None is not a whole number"),
    (lambda record: json.dumps(record | {"passed_over": "1"}), "passed_over='1' is not a whole number"),
    (lambda record: json.dumps(record | {"paused": 5}), "paused=5 is neither a text nor null"),
)


def test_a_ledger_edited_by_hand_is_refused_with_the_next_step(fleet: Fleet) -> None:
    ssm, name = fleet.client("ssm"), fleet.names.ledger
    good = ssm.get_parameter(Name=name)["Parameter"]["Value"]
    for change, sentence in EDITED:
        ssm.put_parameter(Name=name, Value=change(json.loads(good)), Type="String", Overwrite=True)
        with pytest.raises(InvalidInput) as caught:
            fleet.release(version="1.1.0")
        assert sentence in caught.value.message
        assert f"aws ssm get-parameter-history --name {name}" in caught.value.message
        assert fleet.locks() == []
