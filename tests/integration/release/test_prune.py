# SPDX-License-Identifier: GPL-3.0-or-later
"""What prune removes from a fleet that has released for a while: through the module's main(), and beside releases."""

from __future__ import annotations

import datetime as dt
import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import (
    Conflict,
    FleetError,
    InvalidInput,
    LockHeld,
    LockLost,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._prune.machine_images import PURPOSE
from ansible_collections.diffusion.fleet.plugins.modules import prune
from local_aws.harness import Harness
from tests.support.fleet import Fleet, make_fleet
from tests.support.pruning import LATER, bake, bare_fleet, later, numbers, pruned, push, tags

Prune = t.Callable[..., dict[str, t.Any]]


@pytest.fixture
def fleet(harness: Harness) -> Fleet:
    """A fleet of 1 that runs 1.0.0; of the three versions pushed since, the last is what a deploy would take."""
    fleet = make_fleet(harness, 1)
    push(fleet, "1.2.0", "1.3.0")
    return fleet


@pytest.fixture
def bare(harness: Harness) -> Fleet:
    """An empty fleet with three versions pushed."""
    return bare_fleet(harness)


@pytest.fixture
def run(harness: Harness, capsys: pytest.CaptureFixture[str]) -> Prune:
    """Run the module; its JSON result."""
    harness.server.start(ticking=False)
    place = {"endpoint_url": harness.endpoint, "region": "us-east-1", "deployment_id": "demo"}
    keys = {"access_key": "local", "secret_key": "local", "_ansible_diff": True}

    def runner(*, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        given = {**place, **keys, **options, "_ansible_check_mode": check}
        with patch_module_args(given), pytest.raises(SystemExit):
            prune.main()
        return t.cast(dict[str, t.Any], json.loads(capsys.readouterr().out))

    return runner


def test_what_nothing_names_goes_and_a_rollback_still_finds_everything(fleet: Fleet, run: Prune) -> None:
    for version in ("1.1.0", "1.2.0"):
        fleet.release(version=version, percentage="100")
    fleet.never_boots("1.3.0")
    with pytest.raises(FleetError, match="did not come into service"):
        fleet.release(version="1.3.0", percentage="100")
    push(fleet, "1.4.0", "1.5.0", "1.6.0")
    assert "image 1.3.0\n" in run(check=True, **LATER)["diff"]["after"], "the newest instance refresh names it"
    fleet.release(version="1.4.0", percentage="100")
    everything = tags(fleet), numbers(fleet)
    foreseen = run(check=True, **LATER)
    assert foreseen["changed"] is True
    assert (tags(fleet), numbers(fleet)) == everything, "check mode changed something"
    done = run(**LATER)
    assert (done["removed"], done["diff"]) == (foreseen["removed"], foreseen["diff"])
    assert tags(fleet) == {"1.0.0", "1.1.0", "1.2.0", "1.4.0", "1.6.0"}, "1.3.0 was rejected, 1.5.0 never went out"
    assert numbers(fleet) == {1, 2, 3, 4, 6}, "that of 1.3.0 is gone"
    why = {row["label"]: row["why"] for row in done["kept"]["images"]}
    assert (why["image 1.4.0"], why["image 1.2.0"]) == ("stable", "previous")
    assert why["image 1.0.0"] == "rollback.yml -e to_version offers it"
    assert ("image 1.5.0\n" in done["diff"]["before"], "image 1.5.0\n" in done["diff"]["after"]) == (True, False)
    assert fleet.locks() == []
    again = run(**LATER)
    assert (again["changed"], again["lines"]) == (False, ["nothing to remove"])
    assert fleet.release(state="rolled_back", to_version="1.0.0")["outcome"] == "rolled_back"
    assert fleet.versions() == ["1.0.0"]


def test_an_old_template_version_goes_unless_somebody_launched_an_instance_from_it(bare: Fleet) -> None:
    ec2 = bare.client("ec2")
    base = {"LaunchTemplateName": bare.names.group, "SourceVersion": "1", "LaunchTemplateData": {}}
    made = [ec2.create_launch_template_version(**base)["LaunchTemplateVersion"]["VersionNumber"] for _unused in "abc"]
    tagged = [{"Key": "DeploymentId", "Value": "demo"}, {"Key": "aws:ec2launchtemplate:version", "Value": str(made[0])}]
    image = bare.client("ec2").describe_images()["Images"][0]["ImageId"]
    ec2.run_instances(
        ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=[{"ResourceType": "instance", "Tags": tagged}]
    )
    pruned(bare)
    assert made[0] in numbers(bare)
    assert made[1] not in numbers(bare)
    assert made[2] not in numbers(bare)


def test_smoke_queues_without_a_release_go(fleet: Fleet) -> None:
    sqs, names = fleet.client("sqs"), fleet.names
    sqs.create_queue(QueueName=names.smoke_queue("0123456789ab"))
    sqs.create_queue(QueueName="sd-smoke-demo-2-0123456789ab")  # of the deployment demo-2
    stable = fleet.ledger.stable
    assert stable is not None
    done = pruned(fleet)
    assert done["removed"]["smoke_queues"] == ["0123456789ab"]
    left = {url.rsplit("/", 1)[1] for url in sqs.list_queues(QueueNamePrefix="sd-smoke-")["QueueUrls"]}
    assert {names.smoke_queue(stable.release_id), "sd-smoke-demo-2-0123456789ab"} <= left


def snapshots(fleet: Fleet) -> set[str]:
    """Snapshots of the deployment."""
    filters = [{"Name": "tag:Purpose", "Values": [PURPOSE]}]
    rows = fleet.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]
    return {row["SnapshotId"] for row in rows}


def test_machine_images_go_with_their_snapshots(bare: Fleet) -> None:
    ec2, ssm, names = bare.client("ec2"), bare.client("ssm"), bare.names
    old, given, baked = (bake(bare, name) for name in ("old", "given", "baked"))
    ssm.put_parameter(Name=names.ami, Value=baked, Type="String")
    host = json.loads(ssm.get_parameter(Name=names.host)["Parameter"]["Value"])
    host["launch_template_data"]["ImageId"] = given
    ssm.put_parameter(Name=names.host, Value=json.dumps(host), Type="String", Overwrite=True)
    before = snapshots(bare)
    later(bare)
    done = pruned(bare)
    assert done["removed"]["amis"] == [old]
    assert {row["ImageId"] for row in ec2.describe_images(Owners=["self"])["Images"]} >= {given, baked}
    assert len(before) == 3
    assert len(snapshots(bare)) == 2
    ec2.deregister_image(ImageId=given)  # whoever did that left the snapshot behind
    host["launch_template_data"]["ImageId"] = baked
    ssm.put_parameter(Name=names.host, Value=json.dumps(host), Type="String", Overwrite=True)
    assert pruned(bare)["removed"]["snapshots"]
    assert len(snapshots(bare)) == 1


def test_an_open_release_refuses_it_and_loses_nothing(fleet: Fleet, run: Prune) -> None:
    push(fleet, "1.4.0")
    fleet.start(lambda line: "judging" in line, version="1.4.0", percentage="100")
    before = tags(fleet), numbers(fleet)
    for check in (True, False):
        refused = run(check=check, **LATER)
        assert "A release of demo is open (1.4.0, in-progress); nothing was removed" in refused["msg"]
    assert (tags(fleet), numbers(fleet)) == before
    assert fleet.release(version="1.4.0")["outcome"] == "succeeded"
    assert pruned(fleet)["changed"] is True


def test_a_live_holder_of_the_lock_is_named_and_a_dead_one_is_outlived(bare: Fleet) -> None:
    ssm, names = bare.client("ssm"), bare.names
    held = {
        "Name": names.lock(bare.ledger.epoch + 1),
        "Value": json.dumps({"run": "x", "owner": "ada", "host": "ci-7"}),
    }
    ssm.put_parameter(**held, Type="String")
    bare.meanwhile = lambda: ssm.put_parameter(**held, Type="String", Overwrite=True)
    with pytest.raises(LockHeld, match="ada@ci-7"):
        pruned(bare)
    assert "1.1.0" in tags(bare)
    bare.meanwhile = None  # the other run has died
    assert pruned(bare)["changed"] is True
    assert bare.locks() == []


class Interrupted:
    """The fleet as AWS, with something happening just before the first removal, or as soon as there is a lock."""

    def __init__(self, fleet: Fleet, happens: t.Callable[[], None], *, claimed: bool = True) -> None:
        self._fleet = fleet
        self._claimed = claimed
        self._happens: t.Callable[[], None] | None = happens

    def client(self, service: str) -> t.Any:
        """The same client, but that SSM is asked for the lock only after what happens."""
        client = self._fleet.client(service)
        return _Watched(client, self._first) if service == "ssm" else client

    def _first(self) -> None:
        locks = self._fleet.locks()
        held = self._fleet.names.lock(self._fleet.ledger.epoch) in locks if self._claimed else bool(locks)
        if self._happens is not None and held:
            happens, self._happens = self._happens, None
            happens()


class _Watched:
    def __init__(self, client: t.Any, before_proof: t.Callable[[], None]) -> None:
        self._client = client
        self._before_proof = before_proof

    def __getattr__(self, name: str) -> t.Any:
        if name == "get_parameters":
            self._before_proof()
        return getattr(self._client, name)


def test_a_deploy_that_begins_meanwhile_waits_for_its_turn(fleet: Fleet) -> None:
    push(fleet, "1.4.0")
    lines: list[str] = []

    def deploys() -> None:
        lines.extend(fleet.call(fleet.params(version="1.4.0", percentage="100"))["lines"])

    done = pruned(fleet, Interrupted(fleet, deploys))
    assert done["changed"] is True
    assert lines[0].startswith("lock held by ")
    assert "(prune.yml)" in lines[0]
    assert fleet.ledger.is_open is False
    assert fleet.release(version="1.4.0", percentage="100")["outcome"] == "succeeded"


class Slow:
    """The fleet as AWS, where each look at the lock takes long; how old the lock was then."""

    def __init__(self, fleet: Fleet, seconds: int) -> None:
        self._fleet = fleet
        self._seconds = seconds
        self.ages: list[dt.timedelta] = []

    def client(self, service: str) -> t.Any:
        client = self._fleet.client(service)
        return _Watched(client, self._wait) if service == "ssm" else client

    def _wait(self) -> None:
        self._fleet.harness.advance(self._seconds)
        path = self._fleet.names.lock_path
        rows = self._fleet.client("ssm").get_parameters_by_path(Path=path)["Parameters"]
        self.ages += [self._fleet.harness.clock.now() - row["LastModifiedDate"] for row in rows]


def test_a_long_run_keeps_its_lock_alive(bare: Fleet) -> None:
    for number in range(9):
        bake(bare, f"old-{number}")
    aws = Slow(bare, 10)
    assert len(pruned(bare, aws)["removed"]["amis"]) == 9
    assert len(aws.ages) > 9
    assert max(aws.ages) < dt.timedelta(seconds=60)


def test_what_somebody_names_before_the_lock_is_held_stays(bare: Fleet) -> None:
    def named() -> None:
        name = f"{bare.names.root}/previous-version"
        bare.client("ssm").put_parameter(Name=name, Value="1.0.0", Type="String", Overwrite=True)

    assert pruned(bare, Interrupted(bare, named, claimed=False))["changed"] is True
    assert tags(bare) == {"1.0.0", "1.2.0"}


def test_a_run_that_was_overtaken_removes_nothing_more(bare: Fleet) -> None:
    names, ssm = bare.names, bare.client("ssm")

    def overtaken() -> None:
        record = json.dumps({"run": "other", "owner": "ada", "host": "ci-7"})
        ssm.put_parameter(Name=names.lock(bare.ledger.epoch + 1), Value=record, Type="String")
        ledger = json.loads(ssm.get_parameter(Name=names.ledger)["Parameter"]["Value"])
        ledger["epoch"] += 1
        ssm.put_parameter(Name=names.ledger, Value=json.dumps(ledger), Type="String", Overwrite=True)

    before = tags(bare), numbers(bare)
    with pytest.raises(LockLost):
        pruned(bare, Interrupted(bare, overtaken))
    assert (tags(bare), numbers(bare)) == before
    assert [name.rsplit("/", 1)[1] for name in bare.locks()][-1] == str(bare.ledger.epoch), "the other's lock stays"


def test_options_that_cannot_be_are_refused(bare: Fleet, run: Prune) -> None:
    assert run(keep_versions=0)["msg"] == "keep_versions=0 must be 1 or more."
    assert run(keep_days=-1)["msg"] == "keep_days=-1 must be 0 or more."
    assert run(keep_amis=-1)["msg"] == "keep_amis=-1 must be 0 or more."
    assert run(timing={"lock_expiry": 0})["msg"] == "timing.lock_expiry=0 is too small."
    assert run(keep_days=30)["changed"] is False


def test_a_fleet_without_a_ledger_is_left_alone(fleet: Fleet) -> None:
    fleet.client("ssm").delete_parameter(Name=fleet.names.ledger)
    with pytest.raises(InvalidInput, match=r"without a ledger.*Run deploy\.yml"):
        pruned(fleet)


def test_a_paused_release_is_open(fleet: Fleet) -> None:
    fleet.release(version="1.3.0", steps=[{"percentage": 50, "pause": True}, 100])
    assert fleet.ledger.paused is not None
    with pytest.raises(Conflict, match=r"is open \(1\.3\.0, paused"):
        pruned(fleet)
