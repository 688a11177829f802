# SPDX-License-Identifier: GPL-3.0-or-later
"""The CloudWatch agent's configuration: as the role renders it, and with mistakes that the agent itself would take."""

from __future__ import annotations

import copy
import json
import typing as t
from pathlib import Path

import jsonschema
import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from sd_host import agent_config
from sd_host.__main__ import main
from tests.unit.host.conftest import ROOT

ROLE = ROOT / "roles/gpu_worker"
Document = dict[str, t.Any]


def rendered(**variables: t.Any) -> Document:
    """What the role writes with these variables."""
    values: dict[str, t.Any] = {}
    for name in ("defaults/main.yml", "vars/Debian.yml", "vars/main.yml"):
        values |= yaml.safe_load((ROLE / name).read_text())
    values |= {"gpu_worker_deployment_id": "demo", **variables}
    trusted = {name: trust_as_template(value) if isinstance(value, str) else value for name, value in values.items()}
    templar = Templar(loader=DataLoader(), variables=trusted)
    text = (ROLE / "templates/amazon-cloudwatch-agent.json.j2").read_text()
    found = templar.template(trust_as_template(text))
    return t.cast(Document, json.loads(found) if isinstance(found, str) else found)


@pytest.fixture(scope="module")
def document() -> Document:
    return rendered()


def broken(document: Document, *path: t.Any, value: t.Any) -> Document:
    """The document with another value at that place."""
    changed = copy.deepcopy(document)
    at: t.Any = changed
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return changed


def test_what_the_role_writes_is_right(document: Document) -> None:
    assert agent_config.problems(document) == []
    assert set(document["metrics"]["metrics_collected"]) == {"cpu", "mem", "disk", "nvidia_gpu"}


def test_a_host_without_a_card_measures_none() -> None:
    document = rendered(gpu_worker_gpu=False)
    assert agent_config.problems(document) == []
    assert "nvidia_gpu" not in document["metrics"]["metrics_collected"]


def test_its_logs_go_to_the_groups_of_the_deployment(document: Document) -> None:
    files = document["logs"]["logs_collected"]["files"]["collect_list"]
    assert {Path(row["file_path"]).name: row["log_group_name"] for row in files} == {
        "worker.log": "/sd-inference/demo/api-scheduler",
        "health-check.log": "/sd-inference/demo/health-check",
        "host.log": "/sd-inference/demo/host",
    }
    assert {row["log_stream_name"] for row in files} == {"{instance_id}"}


COLLECTED = ("metrics", "metrics_collected")
CARD = (*COLLECTED, "nvidia_gpu")
MEMORY = (*COLLECTED, "mem", "measurement")
FILE = ("logs", "logs_collected", "files", "collect_list", 0)
MISTAKES = {
    "unknown plugin": ((*COLLECTED, "nvidia_gpus"), {"measurement": ["utilization_gpu"]}, "nvidia_gpus is unknown"),
    "unknown measurement": (
        (*COLLECTED, "nvidia_gpu", "measurement"),
        ["gpu_utilization"],
        '"gpu_utilization" is not one of',
    ),
    "measurement of another plugin": (
        (*COLLECTED, "mem", "measurement"),
        ["usage_active"],
        '"usage_active" is not one of',
    ),
    "no measurement": ((*COLLECTED, "cpu", "measurement"), [], "is empty"),
    "unknown key of a plugin": ((*COLLECTED, "cpu", "totalcpus"), True, "totalcpus is unknown"),
    "unknown top-level key": (("metric",), {}, "metric is unknown"),
    "unknown key of the agent": (("agent", "interval"), 60, "interval is unknown"),
    "text for a number": (("agent", "metrics_collection_interval"), "60", "must be of type integer"),
    "truth for a number": (("agent", "metrics_collection_interval"), True, "must be of type integer"),
    "no interval": (("agent", "metrics_collection_interval"), 0, "0 is less than 1"),
    "unknown dimension": (("metrics", "append_dimensions", "Instance"), "${aws:InstanceId}", "Instance is unknown"),
    "wrong placeholder": (("metrics", "append_dimensions", "InstanceId"), "${InstanceId}", "is not one of"),
    "odd retention": ((*FILE, "retention_in_days"), 31, "31 is not one of"),
    "relative file": ((*FILE, "file_path"), "worker.log", "does not match"),
    "unknown key of a file": ((*FILE, "log_group"), "g", "log_group is unknown"),
    "no plugins": (COLLECTED, {}, "cpu is missing"),
    "no logs": (("logs",), None, "must be of type object"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(document: Document, name: str) -> None:
    path, value, message = MISTAKES[name]
    found = agent_config.problems(broken(document, *path, value=value))
    assert len(found) >= 1 and message in found[0]


@pytest.mark.parametrize("name", [None, *MISTAKES])
def test_an_implementation_of_json_schema_comes_to_the_same_verdict(document: Document, name: str | None) -> None:
    if name is not None:
        document = broken(document, *MISTAKES[name][0], value=MISTAKES[name][1])
    schema = json.loads(agent_config.SCHEMA.read_text())
    theirs = list(jsonschema.Draft202012Validator(schema).iter_errors(document))
    assert bool(theirs) == bool(agent_config.problems(document))


def test_the_role_calls_it_before_it_installs_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "agent.json").write_text('{"agent": {}}')
    assert main(["agent-config", str(tmp_path / "agent.json")], {}) == 1
    assert "metrics is missing" in capsys.readouterr().err
    (task,) = yaml.safe_load((ROLE / "tasks/agent.yml").read_text())
    assert task["ansible.builtin.template"]["validate"].endswith("agent-config %s")
