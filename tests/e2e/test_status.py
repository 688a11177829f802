# SPDX-License-Identifier: GPL-3.0-or-later
"""status.yml as people and as machines read it."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess

from tests.e2e.site import Site
from tests.support.playbooks import ANSIBLE_PLAYBOOK, ROOT


def shown(site: Site, *arguments: str) -> list[str]:
    """The lines that a shell shows."""
    environment = {**os.environ, "AWS_ENDPOINT_URL": site.endpoint, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    environment |= {"LC_ALL": "C.UTF-8", "PWD": str(ROOT)}
    command = [str(ANSIBLE_PLAYBOOK), "playbooks/status.yml", "-e", "deployment_id=e2e", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_text_is_a_tree_of_plain_lines(site: Site) -> None:
    lines = shown(site, "-e", "past=1")
    assert "e2e: stable" in lines
    assert any(line.startswith("  stable    ") for line in lines)
    assert "  next      nothing: no release is open" in lines
    assert len([line for line in lines if line.startswith("  #")]) == 1


def test_json_is_one_line_of_the_output_and_the_whole_of_a_file(site: Site, tmp_path: pathlib.Path) -> None:
    target = tmp_path / "status.json"
    from_here = os.path.relpath(target, ROOT)
    lines = shown(site, "-e", "status_format=json", "-e", f"status_file={from_here}")
    documents = [json.loads(line) for line in lines if line.startswith("{")]
    assert len(documents) == 1
    assert documents[0] == json.loads(target.read_text(encoding="utf-8"))
    assert (documents[0]["deployment_id"], documents[0]["status"]) == ("e2e", "stable")
    assert {"steps", "instances", "lock", "refresh", "next", "history", "group", "open"} <= documents[0].keys()
