# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup as a task calls it."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

from local_aws.harness import Harness

ROOT = Path(__file__).parents[3]
OPTIONS = "region='us-east-1', access_key='local', secret_key='local'"


def ask(endpoint: str, *terms: str) -> str:
    """What a task sees, or the error that it gets."""
    arguments = ", ".join(["'diffusion.fleet.ecr_token'", *map(repr, terms), f"endpoint_url='{endpoint}'", OPTIONS])
    command = [str(Path(sys.executable).with_name("ansible")), "localhost", "-m", "ansible.builtin.debug"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true"}
    environment |= {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "LC_ALL": "C.UTF-8"}
    environment |= {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build" / "collections")}
    done = subprocess.run(
        [*command, "-a", f"msg={{{{ lookup({arguments}) }}}}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    (task,) = json.loads(done.stdout)["plays"][0]["tasks"]
    return json.dumps(task["hosts"]["localhost"]["msg"])


def test_it_gives_what_an_engine_logs_in_with(harness: Harness) -> None:
    found = json.loads(ask(harness.endpoint))
    assert found["username"] == "AWS" and found["password"]
    assert found["registry"] == "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    assert dt.datetime.fromisoformat(found["expires_at"]).tzinfo is not None


def test_it_says_what_is_wrong(harness: Harness) -> None:
    assert "ecr_token takes no terms" in ask(harness.endpoint, "123456789012")
    harness.world.faults.replace([{"kind": "denied", "operation": "GetAuthorizationToken"}])
    assert "Allow that action" in ask(harness.endpoint)
