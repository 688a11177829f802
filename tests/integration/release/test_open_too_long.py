# SPDX-License-Identifier: GPL-3.0-or-later
"""The alarm on a release that stays open, as provision.yml makes it, over hours of virtual time."""

from __future__ import annotations

import json
import pathlib
import typing as t

import jinja2
import pytest
import yaml

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from local_aws.harness import Harness
from tests.support.fleet import ACCOUNT, Fleet, make_fleet
from tests.support.topic import Listener

NAMES = pathlib.Path(__file__).parents[3] / "playbooks" / "vars" / "names.yml"
ALARM = "sd-inference-demo-release-open"


def alarm(topic: str, hours: float) -> dict[str, t.Any]:
    """The alarm that the playbook would make, for PutMetricAlarm."""
    variables = yaml.safe_load(NAMES.read_text(encoding="utf-8"))
    wanted = next(row for row in variables["fleet_alarms"] if row["alarm_name"].endswith("-release-open"))
    known = {"fleet_name": "sd-inference-demo", "fleet_deployment_id": "demo", "fleet_open_hours": hours}
    known["fleet_open_period"] = render(variables["fleet_open_period"], known)
    known |= {"fleet_arn_of": {"sns": topic.rsplit(":", 1)[0] + ":"}, "fleet_releases_topic": topic.rsplit(":", 1)[1]}
    made = {"".join(map(str.capitalize, name.split("_"))): render(value, known) for name, value in wanted.items()}
    made["Dimensions"] = [{key.capitalize(): value for key, value in row.items()} for row in made["Dimensions"]]
    return made | {name: int(made[name]) for name in ("Period", "EvaluationPeriods", "Threshold")}


def render(value: t.Any, variables: dict[str, t.Any]) -> t.Any:
    """A value of a playbook with its expressions worked out."""
    if isinstance(value, list):
        return [render(item, variables) for item in value]
    if isinstance(value, dict):
        return {name: render(item, variables) for name, item in value.items()}
    return jinja2.Template(value).render(variables) if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("hours", "period", "periods"), [(4, 300, 48), (24, 300, 288), (25, 3600, 25), (168, 3600, 168)]
)
def test_it_stays_within_what_cloudwatch_looks_back_over(hours: float, period: int, periods: int) -> None:
    made = alarm("arn:aws:sns:us-east-1:1:sd-releases-demo", hours)
    assert (made["Period"], made["EvaluationPeriods"]) == (period, periods)
    assert period * periods <= (86400 if period < 3600 else 604800)


@pytest.fixture
def fleet(harness: Harness) -> Fleet:
    """A fleet of 2 that runs 1.0.0, with the alarm, and a bad 1.1.0."""
    fleet = make_fleet(harness, 2)
    topic = fleet.names.releases_topic("us-east-1", ACCOUNT)
    fleet.client("cloudwatch").put_metric_alarm(**alarm(topic, 4))
    return fleet


def live(fleet: Fleet, hours: float, workers: bool = True) -> None:
    """Hours in which the workers say each minute whether a release is open."""
    for _unused in range(round(hours * 60)):
        fleet.harness.advance(60, 60)
        if workers:
            metric = {"MetricName": "ReleaseOpen", "Value": float(fleet.parameter("deployment-status") != "stable")}
            metric["Dimensions"] = [{"Name": "DeploymentId", "Value": "demo"}]
            fleet.client("cloudwatch").put_metric_data(Namespace="SDInference", MetricData=[metric])


def state(fleet: Fleet) -> str:
    """The alarm's."""
    return str(fleet.client("cloudwatch").describe_alarms(AlarmNames=[ALARM])["MetricAlarms"][0]["StateValue"])


def test_a_release_that_nobody_closes_is_told_after_four_hours_and_not_before(fleet: Fleet) -> None:
    live(fleet, 4.3)
    assert state(fleet) == "OK"
    fleet.start(lambda line: "reached, judging" in line, version="1.1.0", percentage="50")
    listener = Listener(fleet, fleet.names.releases_topic("us-east-1", ACCOUNT))
    live(fleet, 3.9)
    assert state(fleet) == "OK"
    live(fleet, 0.3)
    assert state(fleet) == "ALARM"
    told = [json.loads(notice["Message"]) for notice in listener.notices()]
    assert [row["NewStateValue"] for row in told if row.get("AlarmName") == ALARM] == ["ALARM"]

    live(fleet, 1, workers=False)
    assert state(fleet) == "ALARM"

    with pytest.raises(FleetError, match="AWS ended the instance refresh"):
        fleet.release(version="1.1.0")
    live(fleet, 0.2)
    assert state(fleet) == "OK"


def test_without_any_worker_it_says_nothing(fleet: Fleet) -> None:
    fleet.start(lambda line: "reached, judging" in line, version="1.1.0", percentage="50")
    live(fleet, 5, workers=False)
    assert state(fleet) == "INSUFFICIENT_DATA"
