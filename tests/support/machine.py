# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet under everything that people, AWS and accidents do to it, in any order (DESIGN 12); a hypothesis machine."""

from __future__ import annotations

import collections
import json
import typing as t

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from tests.support.fleet import QUICK_TIMING, make_harness
from tests.support.invariants import ACTIVE, lines_of, lowest_in_service, violations
from tests.support.probe import Died, ProbedFleet, Trouble

SIZE, LARGEST = 2, 4
SETTLING = 40
REFUSALS = ("Conflict", "InvalidInput", "LockHeld", "NotFound")
"""Errors of a run that has changed nothing."""
STEPS: collections.Counter[str] = collections.Counter()
"""Steps by rule, of every machine of this process."""


class FleetMachine(RuleBasedStateMachine):
    """Deploys, rollbacks, crashes and the rest; after each of them the invariants."""

    def __init__(self) -> None:
        super().__init__()
        self.harness = make_harness()
        self.fleet = ProbedFleet(self.harness, SIZE)
        self.fleet.timing = QUICK_TIMING
        self.fleet.traffic.jobs_per_second = 0.5
        self.built: list[str] = []
        self.bad: set[str] = set()

    @initialize()
    def begin(self) -> None:
        """A first release."""
        self._build("good")
        self.fleet.release(version=self.built[-1])

    def teardown(self) -> None:
        """Whatever happened, one more run converges, of either kind."""
        self.fleet.sleep(400)
        wish = {} if len(self.built) % 2 else {"state": "rolled_back"}
        self._run(wish)
        self.fleet.sleep(SETTLING)
        problems = self._problems()
        self.harness.__exit__()
        assert not problems, f"after one more run ({wish or 'deploy'}): {lines_of(problems)}"

    # ------------------------------------------------------------ runs

    @rule(kind=st.sampled_from(["good", "good", "failing", "slow", "broken"]), share=st.sampled_from(["50", "100"]))
    def deploy(self, kind: str, share: str) -> None:
        """A new version, to the end."""
        self._run_and_judge({"version": self._build(kind), "percentage": share})

    @rule(share=st.sampled_from(["34", "100"]))
    def deploy_newest(self, share: str) -> None:
        """No version named: the newest that was not rejected, or the open one."""
        self._run_and_judge({"percentage": share})

    @rule(kind=st.sampled_from(["good", "good", "failing"]), hold=st.booleans())
    def deploy_and_pause(self, kind: str, hold: bool) -> None:
        """A new version that pauses after its first step."""
        steps = [{"percentage": 50, "pause": True}, 100]
        self._run_and_judge({"version": self._build(kind), "steps": steps, "hold_scale_out": hold})

    @rule(full=st.booleans())
    def promote(self, full: bool) -> None:
        """Go on with what is paused, or hurry what is open."""
        self._run_and_judge({"state": "promoted", "full": full})

    @rule(call=st.integers(0, 150), trouble=st.sampled_from([Trouble.KILLED_BEFORE, Trouble.KILLED_AFTER]))
    def promote_and_crash(self, call: int, trouble: Trouble) -> None:
        """A promotion; the controller dies."""
        self._crash(call, trouble, {"state": "promoted"})

    @rule(which=st.integers(0, 9))
    def deploy_again(self, which: int) -> None:
        """A version of the past, rejected or not."""
        self._run_and_judge({"version": self.built[which % len(self.built)], "percentage": "100"})

    @rule()
    def roll_back(self) -> None:
        """To stable with a release open, else to previous."""
        self._run_and_judge({"state": "rolled_back"})

    @rule(which=st.integers(0, 9))
    def roll_back_to(self, which: int) -> None:
        """To a version of the past."""
        self._run_and_judge({"state": "rolled_back", "to_version": self.built[which % len(self.built)]})

    @rule(
        call=st.integers(0, 220),
        kind=st.sampled_from(["good", "good", "failing"]),
        trouble=st.sampled_from([Trouble.KILLED_BEFORE, Trouble.KILLED_AFTER, Trouble.KILLED_RESENT]),
    )
    def deploy_and_crash(self, call: int, kind: str, trouble: Trouble) -> None:
        """A new version; the controller dies at one of its calls."""
        self._crash(call, trouble, {"version": self._build(kind), "percentage": "50"})

    @rule(call=st.integers(0, 120), trouble=st.sampled_from([Trouble.KILLED_BEFORE, Trouble.KILLED_AFTER]))
    def deploy_newest_and_crash(self, call: int, trouble: Trouble) -> None:
        """Whatever is open or newest; the controller dies."""
        self._crash(call, trouble, {"percentage": "50"})

    @rule(call=st.integers(0, 90), trouble=st.sampled_from([Trouble.KILLED_BEFORE, Trouble.KILLED_AFTER]))
    def roll_back_and_crash(self, call: int, trouble: Trouble) -> None:
        """A rollback; the controller dies."""
        self._crash(call, trouble, {"state": "rolled_back"})

    @rule(call=st.integers(0, 220), trouble=st.sampled_from([Trouble.REPLY_LOST, Trouble.THROTTLED, Trouble.RESENT]))
    def deploy_with_a_fault(self, call: int, trouble: Trouble) -> None:
        """A new version; one call goes wrong."""
        self._crash(call, trouble, {"version": self._build("good"), "percentage": "50"})

    # ------------------------------------------------------------ others at work

    @rule(size=st.sampled_from([0, 1, 2, 2, 3, LARGEST]))
    def scale(self, size: int) -> None:
        """An alarm or a person sets the desired capacity."""
        STEPS["scale"] += 1
        name = self.fleet.names.group
        self.fleet.client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=size)

    @rule(which=st.integers(0, 9))
    def lose_an_instance(self, which: int) -> None:
        """An instance ends."""
        STEPS["lose an instance"] += 1
        serving = [row for row in self.fleet.group()["Instances"] if row["LifecycleState"] == "InService"]
        if serving:
            lost = serving[which % len(serving)]["InstanceId"]
            self.fleet.client("ec2").terminate_instances(InstanceIds=[lost])
            self.fleet.sleep(2)  # until Auto Scaling has noticed

    @rule(wait=st.booleans())
    def foreign_refresh(self, wait: bool) -> None:
        """Somebody replaces every instance, without another template."""
        STEPS["foreign refresh"] += 1
        autoscaling = self.fleet.client("autoscaling")
        try:
            autoscaling.start_instance_refresh(
                AutoScalingGroupName=self.fleet.names.group,
                Preferences={"MinHealthyPercentage": 100, "MaxHealthyPercentage": 200, "InstanceWarmup": 0},
            )
        except autoscaling.exceptions.InstanceRefreshInProgressFault:
            return
        if wait:
            self.fleet.sleep(120)

    @rule(garbage=st.booleans(), age=st.sampled_from([0, 120]))
    def foreign_lock(self, garbage: bool, age: int) -> None:
        """A run of somebody else's has taken the lock and died."""
        STEPS["expired lock"] += 1
        record = {"run": "elsewhere", "owner": "somebody", "host": "elsewhere"}
        epoch = self.fleet.ledger.epoch + 1
        self.fleet.client("ssm").put_parameter(
            Name=self.fleet.names.lock(epoch),
            Value="by hand" if garbage else json.dumps(record),
            Type="String",
            Overwrite=True,
        )
        self.fleet.sleep(max(age, 1))

    @rule(
        name=st.sampled_from(["image-version", "previous-version", "deployment-status"]),
        value=st.sampled_from(["6.6.6", "stable", ""]),
    )
    def edit_a_parameter(self, name: str, value: str) -> None:
        """Somebody writes, or deletes, a plain parameter."""
        STEPS["edit a parameter"] += 1
        ssm, name = self.fleet.client("ssm"), f"{self.fleet.names.root}/{name}"
        if value:
            ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)
        else:
            ssm.delete_parameters(Names=[name])

    @rule()
    def delete_a_template_version(self) -> None:
        """Somebody tidies up template versions: what is neither stable nor under way."""
        STEPS["delete a template version"] += 1
        ledger, ec2, name = self.fleet.ledger, self.fleet.client("ec2"), self.fleet.names.group
        kept = {"1", *(row.template_version for row in (ledger.stable, ledger.candidate) if row)}
        kept |= {row["LaunchTemplate"]["Version"] for row in self.fleet.group()["Instances"]}
        rows = ec2.describe_launch_template_versions(LaunchTemplateName=name)["LaunchTemplateVersions"]
        free = [str(row["VersionNumber"]) for row in rows if str(row["VersionNumber"]) not in kept]
        if free:
            ec2.delete_launch_template_versions(LaunchTemplateName=name, Versions=free[-1:])

    @rule(seconds=st.sampled_from([5, 60, 300]))
    def wait(self, seconds: int) -> None:
        """Nobody does anything."""
        STEPS["wait"] += 1
        self.fleet.sleep(seconds)

    # ------------------------------------------------------------ always

    @invariant()
    def stable_has_passed(self) -> None:
        """Nothing that was bound to fail is ever stable or previous, nor is anything that was rejected."""
        ledger = self.fleet.ledger
        rejected = {item.release_id for item in ledger.rejected}
        for role, release in (("stable", ledger.stable), ("previous", ledger.previous)):
            if release is not None:
                assert release.version not in self.bad, f"{role} is {release.version}, which was bound to fail"
                assert release.release_id not in rejected, f"{role} {release.version} was rejected"

    @invariant()
    def nobody_serves_what_was_not_asked_for(self) -> None:
        """With nothing open and no refresh, nothing but stable is launched."""
        ledger, group = self.fleet.ledger, self.fleet.group()
        if not ledger.is_open and ledger.stable is not None and not self._refreshing():
            saved = group["LaunchTemplate"]["Version"]
            assert saved == ledger.stable.template_version, (
                f"the group saves template {saved}, stable is {ledger.stable}"
            )

    # ------------------------------------------------------------ inside

    def _build(self, kind: str) -> str:
        version = f"1.{len(self.built)}.0"
        self.fleet.build(version)
        self.built.append(version)
        traffic = self.fleet.traffic
        if kind != "good":
            self.bad.add(version)
        if kind in ("failing", "slow"):
            getattr(traffic, kind).add(version)
        if kind == "broken":
            self.fleet.never_boots(version)
        return version

    def _run(self, wish: t.Mapping[str, t.Any]) -> FleetError | dict[str, t.Any] | None:
        """One run: its result, its error, or None when it died; capacity must not sink because of it."""
        since, floor = self.fleet.now().isoformat(), self._floor()
        try:
            result: FleetError | dict[str, t.Any] | None = self.fleet.release(**wish)
        except Died:
            result = None
        except FleetError as error:
            result = error
        if self.fleet.ledger.stable is not None:
            lowest = lowest_in_service(self.fleet, since)
            assert lowest >= floor, f"{lowest} instances in service during {wish}, the floor was {floor}"
        return result

    def _floor(self) -> int:
        group = self.fleet.group()
        serving: int = sum(
            row["LifecycleState"] == "InService" and row["HealthStatus"] == "Healthy" for row in group["Instances"]
        )
        return min(serving, int(group["DesiredCapacity"]))

    def _run_and_judge(self, wish: t.Mapping[str, t.Any]) -> None:
        """A run that ends by itself leaves a closed release, unless it has refused to begin."""
        STEPS["run: " + wish.get("state", "deployed")] += 1
        before = self.fleet.ledger
        result = self._run(wish)
        if isinstance(result, FleetError) and type(result).__name__ in REFUSALS:
            after = self.fleet.ledger
            assert (before.stable, before.sequence) == (after.stable, after.sequence), f"refused, and changed: {result}"
            return
        self.fleet.sleep(SETTLING)
        problems = self._problems()
        assert not problems, f"after {wish} ({result}): {lines_of(problems)}"

    def _problems(self) -> list[str]:
        """What is not as it must be where nobody works; a paused release is at rest."""
        if not self.fleet.ledger.paused:
            return violations(self.fleet)
        held = self.fleet.group()["SuspendedProcesses"]
        locks = self.fleet.locks()
        return [f"paused, and {what} are left: {rows}" for what, rows in (("locks", locks), ("holds", held)) if rows]

    def _crash(self, call: int, trouble: Trouble, wish: t.Mapping[str, t.Any]) -> None:
        STEPS[f"trouble: {trouble}"] += 1
        probe = self.fleet.probe
        target = len(probe.calls) + call
        probe.disturb = lambda number: trouble if number == target else None
        self._run(wish)
        probe.disturb = lambda _number: None

    def _refreshing(self) -> bool:
        rows = self.fleet.client("autoscaling").describe_instance_refreshes(AutoScalingGroupName=self.fleet.names.group)
        return any(row["Status"] in ACTIVE for row in rows["InstanceRefreshes"])
