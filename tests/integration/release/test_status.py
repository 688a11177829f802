# SPDX-License-Identifier: GPL-3.0-or-later
"""What status.yml shows: through the module's main(), against a fleet on virtual time."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.diffusion.fleet.plugins.module_utils._release.status import read_status
from ansible_collections.diffusion.fleet.plugins.modules import release_info
from local_aws.harness import Harness
from tests.support.fleet import Fleet, make_fleet

Status = t.Callable[..., dict[str, t.Any]]


@pytest.fixture
def fleet(harness: Harness) -> Fleet:
    """A fleet of 2 that runs 1.0.0, with 1.1.0 pushed."""
    return make_fleet(harness, 2)


@pytest.fixture
def status(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> Status:
    """Run the module; its JSON result."""
    fleet.harness.server.start(ticking=False)
    place = {"endpoint_url": fleet.harness.endpoint, "region": "us-east-1"}
    keys = {"access_key": "local", "secret_key": "local"}

    def runner(**options: t.Any) -> dict[str, t.Any]:
        with patch_module_args({"deployment_id": "demo", **place, **keys, **options}), pytest.raises(SystemExit):
            release_info.main()
        return t.cast(dict[str, t.Any], json.loads(capsys.readouterr().out))

    return runner


def test_a_closed_fleet_and_its_past(fleet: Fleet, status: Status) -> None:
    fleet.release(version="1.1.0", percentage="50")
    fleet.release(state="rolled_back", reason="too dark")
    shown = status(history=2)
    assert (shown["status"], shown["open"], shown["steps"]) == ("stable", None, [])
    assert shown["next"] == "nothing: no release is open"
    assert [(row["version"], row["role"], row["percentage"]) for row in shown["instances"]] == [
        ("1.0.0", "stable", 100)
    ]
    past = [(row["kind"], row["version"], row["outcome"], row["started_by"][:7]) for row in shown["history"]]
    assert past == [("rollback", "1.0.0", "rolled_back", "tester@"), ("deploy", "1.1.0", "succeeded", "tester@")]
    assert all(row["seconds"] > 5 for row in shown["history"])
    assert any(line.startswith("  #2 deploy 1.1.0: succeeded in ") for line in shown["lines"])
    assert [row["outcome"] for row in status(history=10)["history"]][-1] == "succeeded"
    assert status(history=0)["history"] == []


def test_an_open_release_at_work_and_after_its_run_died(fleet: Fleet, status: Status) -> None:
    fleet.start(lambda line: "step 2/2" in line and "judging" in line, version="1.1.0", percentage="50")
    shown = status()
    assert (shown["status"], shown["candidate"]["version"]) == ("in-progress", "1.1.0")
    assert {name: shown["open"][name] for name in ("sequence", "kind", "paused")} == {
        "sequence": 2,
        "kind": "deploy",
        "paused": False,
    }
    first, second = shown["steps"]
    assert (first["state"], first["planned"], first["verdict"]["verdict"]) == ("passed", 1, "pass")
    assert first["verdict"]["candidate"]["jobs"] >= 5
    assert (second["state"], second["planned"], second["actual"], second["verdict"]) == ("judging", 2, 2, None)
    assert [(row["role"], row["percentage"]) for row in shown["instances"]] == [("candidate", 100)]
    assert shown["lock"]["owner"] == "tester"
    assert shown["refresh"]["status"] in ("InProgress", "Baking")
    assert shown["next"].startswith("nothing: tester@")
    assert any(line.startswith("  step 2    100 %: planned 2, actual 2: judging") for line in shown["lines"])

    fleet.client("ssm").delete_parameters(Names=fleet.locks())
    wanted = "deploy.yml -e version=1.1.0 to take the release up, or rollback.yml to give it up"
    assert status()["next"] == wanted
    assert f"  next      {wanted}" in status()["lines"]


def test_an_old_lock_may_still_be_held_by_a_run_of_a_longer_expiry(fleet: Fleet) -> None:
    fleet.start(lambda line: "judging" in line, version="1.1.0", percentage="50")
    fleet.harness.advance(100)
    said = read_status(fleet, "demo", 0, fleet.now())["next"]
    assert said.startswith("the lock of tester@")
    assert "100 s ago: unless that run is still at work, deploy.yml -e version=1.1.0 to take the release up" in said


def test_a_paused_release_says_how_to_go_on(fleet: Fleet, status: Status) -> None:
    fleet.release(version="1.1.0", steps=[{"percentage": 50, "pause": True}, 100])
    shown = status()
    assert shown["open"]["paused"]
    assert shown["lock"] is None
    assert [(row["state"], row["planned"], row["actual"]) for row in shown["steps"]] == [
        ("passed", 1, 1),
        ("paused", 2, 1),
    ]
    assert shown["next"] == "promote.yml to go on, or rollback.yml to give the release up"
    assert shown["lines"][0].startswith("demo: in-progress, paused (#2 deploy for ")


def test_a_fleet_that_drifted_says_what_to_run(fleet: Fleet, status: Status) -> None:
    template = fleet.client("ec2").create_launch_template_version(
        LaunchTemplateName=fleet.names.group, SourceVersion="1", LaunchTemplateData={"InstanceType": "g5.xlarge"}
    )
    number = str(template["LaunchTemplateVersion"]["VersionNumber"])
    fleet.client("autoscaling").update_auto_scaling_group(
        AutoScalingGroupName=fleet.names.group,
        LaunchTemplate={"LaunchTemplateName": fleet.names.group, "Version": number},
        DesiredCapacity=3,
    )
    fleet.sleep(20)
    shown = status()
    assert shown["next"] == "deploy.yml: 1 instances do not run 1.0.0"
    assert {row["role"]: row["percentage"] for row in shown["instances"]} == {"stable": 67, None: 33}


def test_a_deployment_that_is_not_there(status: Status) -> None:
    assert "Deployment 'elsewhere' is not provisioned here" in status(deployment_id="elsewhere")["msg"]
