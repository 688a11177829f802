# SPDX-License-Identifier: GPL-3.0-or-later
"""What Molecule's scenarios hold against each other: what check mode has said, and what the run then did."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from scripts.hosts import changes
from scripts.hosts.__main__ import main
from tests.support.playbooks import ANSIBLE_PLAYBOOK, ROOT

FOLDER = ("h", "Create the folders", "/etc/sd-inference")
INSTALLED = ("h", "Install the packages", "")
ENABLED = ("h", "Enable the services", "docker.service")


def written(path: pathlib.Path, *tasks: tuple[str, str]) -> pathlib.Path:
    """A file as the callback writes it, of tasks of the role and their items."""
    rows = [{"host": "h", "task": f"diffusion.fleet.gpu_worker : {task}", "item": item} for task, item in tasks]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_prediction_and_its_deed_are_one_change(tmp_path: pathlib.Path) -> None:
    check = written(
        tmp_path / "check",
        ("Install the packages (predicted)", ""),
        ("Enable the services (predicted)", "docker.service"),
    )
    run = written(
        tmp_path / "run",
        ("Install the packages (apt)", ""),
        ("Install the packages (apt, files)", "amazon-cloudwatch-agent"),
        ("Enable the services", "docker.service"),
    )
    assert changes.read(check) == changes.read(run) == {INSTALLED, ENABLED}


@pytest.mark.parametrize(
    ("predicted", "done", "wrong"),
    [
        ({FOLDER}, {FOLDER}, []),
        (set(), {FOLDER}, ["was not predicted: h Create the folders /etc/sd-inference"]),
        ({FOLDER}, set(), ["did not come: h Create the folders /etc/sd-inference"]),
        ({ENABLED}, set(), ["did not come: h Enable the services docker.service"]),
    ],
)
def test_only_what_was_said_and_done_agrees(
    predicted: set[changes.Change], done: set[changes.Change], wrong: list[str]
) -> None:
    assert changes.differences(predicted, done) == wrong


def test_the_command_fails_with_the_differences(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    check = written(tmp_path / "check", ("Rotate the logs", ""))
    run = written(tmp_path / "run", ("Install the units", "sd-health.timer"))
    assert main(["predicted", str(check), str(check)]) == 0
    assert json.loads(capsys.readouterr().out) == {"predicted": 1, "done": 1}
    assert main(["predicted", str(check), str(run)]) == 1
    said = capsys.readouterr().err
    assert (
        "was not predicted: h Install the units sd-health.timer" in said and "did not come: h Rotate the logs" in said
    )


# WANT_JSON: Ansible's sign for a module that is no AnsibleModule.
DNF = """#!/usr/bin/python
# WANT_JSON
print('{"changed": true, "results": ["Installed: docker"]}')
"""
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - {name: Install the packages, answers_as_dnf: {}}
    - {name: Enable the services, debug: {msg: told}, changed_when: true, loop: [docker, agent]}
    - {name: Look around, debug: {msg: told}}
"""


def test_a_run_notes_what_it_changes_task_by_task_and_item_by_item(tmp_path: pathlib.Path) -> None:
    (tmp_path / "site.yml").write_text(PLAYBOOK)
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "answers_as_dnf.py").write_text(DNF)
    settings = {
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "extensions/molecule/plugins/callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "changes",
        "FLEET_CHANGES": str(tmp_path / "changes"),
    }
    command = [
        str(ANSIBLE_PLAYBOOK),
        "-i",
        "localhost,",
        "-c",
        "local",
        "-e",
        f"ansible_python_interpreter={sys.executable}",
        "site.yml",
    ]
    subprocess.run(command, cwd=tmp_path, env=os.environ | settings, check=True, capture_output=True)
    assert changes.read(tmp_path / "changes" / "site-0.jsonl") == {
        ("localhost", "Install the packages", ""),
        ("localhost", "Enable the services", "docker"),
        ("localhost", "Enable the services", "agent"),
    }
