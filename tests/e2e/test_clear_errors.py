# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes from a shell: one clear sentence, a non-zero exit, nothing changed."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from tests.e2e.site import Site


def everything(site: Site) -> tuple[t.Any, ...]:
    """What must not change. Protection from scale-in is left out: workers lift it when they fall idle."""
    group = site.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    for instance in (row for found in group for row in found["Instances"]):
        del instance["ProtectedFromScaleIn"]
    parameters = site.client("ssm").get_parameters_by_path(Path="/sd-inference/", Recursive=True)["Parameters"]
    return group, sorted((row["Name"], row["Version"]) for row in parameters)


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"version": "9.9.9"}, "version=9.9.9 is not in repository sd-inference-e2e (pushed: 1.0.0)"),
        ({"percentage": "0"}, "percentage=0 is not a whole number from 1 to 100"),
        ({"percentage": "101"}, "percentage=101 is not a whole number from 1 to 100"),
        ({"percentage": "abc"}, "percentage=abc is not a whole number from 1 to 100"),
        ({"deployment_id": "elsewhere"}, "Deployment 'elsewhere' is not provisioned here"),
    ],
)
def test_bad_input(site: Site, wish: dict[str, t.Any], sentence: str) -> None:
    before = everything(site)
    assert sentence in site.play("deploy", expect=2, **wish).failures()
    assert everything(site) == before


def test_access_denied(site: Site) -> None:
    before = everything(site)
    site.faults([{"kind": "denied", "service": "ecr", "operation": "DescribeImages"}])
    failed = site.play("deploy", expect=2, version="1.0.0")
    site.faults([])
    assert "Cannot read the image repository: access denied to DescribeImages" in failed.failures()
    assert everything(site) == before


def test_an_endpoint_that_does_not_answer(site: Site) -> None:
    nowhere = dataclasses.replace(site, endpoint="http://127.0.0.1:9")
    assert "no answer from AWS" in nowhere.play("deploy", expect=2, version="1.0.0").failures()


def test_a_rejected_version(site: Site) -> None:
    site.build("1.0.1")
    site.play("deploy", version="1.0.1", percentage="100")
    site.play("rollback", reason="only a test")
    before = everything(site)
    failed = site.play("deploy", expect=2, version="1.0.1")
    assert "version=1.0.1 was rejected before (only a test)" in failed.failures()
    assert everything(site) == before


def test_check_mode_prints_the_plan_and_changes_nothing(site: Site) -> None:
    site.build("1.0.2")
    before = everything(site)
    said = site.play("deploy", check=True, version="1.0.2", percentage="50").messages()
    assert "would go from 1.0.0 to 1.0.2" in said
    assert "50 %: 1 of 2 instances" in said
    assert everything(site) == before
