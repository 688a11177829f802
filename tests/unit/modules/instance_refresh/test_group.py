# SPDX-License-Identifier: GPL-3.0-or-later
"""What the group itself allows, from groups as AWS describes them."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import Conflict
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.compare import replaces_nothing
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.plan import plan_rolled_back, plan_started

Document = dict[str, t.Any]

ONE: Document = {"LaunchTemplateId": "lt-1", "LaunchTemplateName": "sd", "Version": "1"}
TWO: Document = {**ONE, "Version": "2"}


def group(**more: t.Any) -> Document:
    """A group of two instances on version 1."""
    rows = [{"InstanceId": f"i-{n}", "InstanceType": "g4dn.xlarge", "LaunchTemplate": ONE} for n in range(2)]
    return {"AutoScalingGroupName": "sd", "LaunchTemplate": ONE, "Instances": rows, **more}


def mixed(template: Document, *overrides: Document) -> Document:
    """A mixed instances policy as a member of a group or of a desired configuration."""
    launch = {"LaunchTemplateSpecification": template, "Overrides": list(overrides)}
    return {"MixedInstancesPolicy": {"LaunchTemplate": launch}}


def mixed_group(**more: t.Any) -> Document:
    """A group with a policy of one type and its AMI."""
    return {**group(LaunchTemplate=None), **mixed(ONE, {"InstanceType": "g4dn.xlarge", "ImageId": "ami-1"}), **more}


def ask(desired: Document | None = None, strategy: str = "Rolling", **preferences: t.Any) -> Document:
    """A request."""
    wanted = {"DesiredConfiguration": desired} if desired else {}
    return {"AutoScalingGroupName": "sd", "Strategy": strategy, **wanted, "Preferences": preferences}


NEW_AMI = mixed(ONE, {"InstanceType": "g4dn.xlarge", "ImageId": "ami-2"})
BY_NEEDS = {**group(LaunchTemplate=None), **mixed(ONE, {"InstanceRequirements": {"VCpuCount": {"Min": 1}}})}
LATEST = {**ONE, "Version": "$Latest"}
REFUSED: dict[str, tuple[Document, Document, str]] = {
    "needs and a desired configuration": (BY_NEEDS, ask({"LaunchTemplate": TWO}), "without desired_configuration only"),
    "needs and skip matching": (BY_NEEDS, ask(SkipMatching=True), "without preferences.skip_matching only"),
    "no way back": (group(LaunchTemplate=LATEST), ask({"LaunchTemplate": TWO}, AutoRollback=True), "$Latest"),
    "root volumes without a policy": (group(), ask(NEW_AMI, "ReplaceRootVolume"), "no mixed instances policy"),
    "root volumes of a moving version": (
        {**mixed_group(), **mixed(LATEST)},
        ask(NEW_AMI, "ReplaceRootVolume"),
        "$Latest",
    ),
    "root volumes of another type": (
        mixed_group(),
        ask(mixed(ONE, {"InstanceType": "g5.xlarge", "ImageId": "ami-2"}), "ReplaceRootVolume"),
        "i-0 of type g4dn.xlarge",
    ),
    "root volumes and a warm pool": (
        mixed_group(WarmPoolConfiguration={"MinSize": 1}),
        ask(NEW_AMI, "ReplaceRootVolume"),
        "warm pool",
    ),
    "root volumes behind a load balancer": (
        mixed_group(TargetGroupARNs=["arn:aws:elasticloadbalancing:::targetgroup/sd"]),
        ask(NEW_AMI, "ReplaceRootVolume"),
        "load balancer",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_refused_because_of_the_group(case: tuple[Document, Document, str]) -> None:
    seen, request, says = case
    with pytest.raises(Conflict) as caught:
        plan_started(seen, [], request, "fail")
    assert says in caught.value.message


def test_a_group_by_needs_is_refreshed_without_either() -> None:
    assert plan_started(BY_NEEDS, [], ask(MinHealthyPercentage=50), "fail").starts


def test_root_volumes_are_replaced_where_all_fits() -> None:
    assert plan_started(mixed_group(), [], ask(NEW_AMI, "ReplaceRootVolume"), "fail").starts


def active(status: str, **more: t.Any) -> list[Document]:
    """The refreshes of a group with an active one."""
    return [{"InstanceRefreshId": "r-1", "Status": status, "DesiredConfiguration": {"LaunchTemplate": TWO}, **more}]


@pytest.mark.parametrize(
    ("seen", "refreshes", "says"),
    [
        (group(), active("Cancelling"), "is being cancelled"),
        (group(), active("InProgress", DesiredConfiguration=None), "no desired configuration"),
        (group(LaunchTemplate=LATEST), active("Baking"), "$Latest"),
    ],
    ids=["cancelling", "no desired configuration", "moving version"],
)
def test_no_rollback_where_aws_has_no_way_back(seen: Document, refreshes: list[Document], says: str) -> None:
    with pytest.raises(Conflict) as caught:
        plan_rolled_back(seen, refreshes)
    assert says in caught.value.message
    if refreshes[0]["Status"] != "Cancelling":  # what is being cancelled ends by itself, the wanted one can follow
        with pytest.raises(Conflict):
            plan_started(seen, refreshes, ask({"LaunchTemplate": TWO}), "rollback")


@pytest.mark.parametrize("status", ["Pending", "InProgress", "Baking"])
def test_what_is_active_is_rolled_back(status: str) -> None:
    steps = plan_rolled_back(group(), active(status))
    assert (steps.ending, steps.before["status"], steps.after["status"]) == ("rollback", status, "RollbackInProgress")


def test_the_end_of_a_cancel_is_only_awaited() -> None:
    for on_active in ("cancel", "rollback"):
        steps = plan_started(group(), active("Cancelling"), ask({"LaunchTemplate": TWO}), on_active)
        assert (steps.ending, steps.starts) == ("", True)


def test_a_policy_is_adopted_although_aws_answers_more_than_was_asked() -> None:
    named = {"LaunchTemplateName": "sd", "Version": "2"}
    asked = ask(mixed(named, {"InstanceType": "g4dn.xlarge"}), BakeTime=60)
    answered = mixed({**TWO}, {"InstanceType": "g4dn.xlarge"})
    answered["MixedInstancesPolicy"]["InstancesDistribution"] = {"OnDemandBaseCapacity": 0}
    running = active("InProgress", DesiredConfiguration=answered, Preferences={"BakeTime": 0, "SkipMatching": False})
    steps = plan_started(group(), running, asked, "adopt")
    assert not steps.changed
    assert "BakeTime" in steps.warnings[0] and "SkipMatching" not in steps.warnings[0]
    other = ask(mixed(named, {"InstanceType": "g4dn.xlarge"}, {"InstanceType": "g5.xlarge"}))
    with pytest.raises(Conflict):
        plan_started(group(), running, other, "adopt")


TYPE = {"InstanceType": "g4dn.xlarge"}
SAME: dict[str, tuple[Document, Document, bool]] = {
    "nothing new": (group(), ask({"LaunchTemplate": ONE}, SkipMatching=True), True),
    "the saved one": (group(), ask(SkipMatching=True), True),
    "all of them": (group(), ask({"LaunchTemplate": ONE}), False),
    "another version": (group(), ask({"LaunchTemplate": TWO}, SkipMatching=True), False),
    "saved, not yet running": (group(LaunchTemplate=TWO), ask({"LaunchTemplate": TWO}, SkipMatching=True), False),
    "a moving version": (group(LaunchTemplate=LATEST), ask(SkipMatching=True), False),
    "a launch configuration": (group(LaunchTemplate=None), ask(SkipMatching=True), False),
    "a policy": ({**group(LaunchTemplate=None), **mixed(ONE, TYPE)}, ask(mixed(ONE, TYPE), SkipMatching=True), True),
    "a policy with another type": (
        {**group(LaunchTemplate=None), **mixed(ONE, {"InstanceType": "g5.xlarge"})},
        ask(SkipMatching=True),
        False,
    ),
    "a policy with another AMI": (mixed_group(), ask(SkipMatching=True), False),
    "a policy with a template for the type": (
        {**group(LaunchTemplate=None), **mixed(TWO, {**TYPE, "LaunchTemplateSpecification": ONE})},
        ask(SkipMatching=True),
        True,
    ),
}


@pytest.mark.parametrize("case", SAME.values(), ids=SAME.keys())
def test_whether_anything_would_be_replaced(case: tuple[Document, Document, bool]) -> None:
    seen, request, nothing = case
    assert replaces_nothing(seen, request) is nothing
