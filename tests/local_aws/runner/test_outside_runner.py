# SPDX-License-Identifier: Apache-2.0
"""Instances that somebody else boots: they wait in their hook for what comes through the API."""

from __future__ import annotations

import base64
import functools
import pathlib
import subprocess
import sys
import threading
import typing as t

import boto3
import pytest

from local_aws.cli import main
from scripts.rehearsal.group import create_group
from tests.support.playbooks import ROOT, free_port

WAITING = threading.Event()
# The other runners would start a worker, and report that it cannot be pulled.
USER_DATA = b"#cloud-config\nwrite_files:\n  - path: /etc/sd-inference/worker.env\n    content: SD_IMAGE=none\n"
HOOK = {"AutoScalingGroupName": "hosts", "LifecycleHookName": "launch"}


@pytest.fixture
def endpoint(tmp_path: pathlib.Path) -> t.Iterator[str]:
    """A server with that runner."""
    port = str(free_port())
    command = [sys.executable, "-m", "local_aws"]
    place = ["--state-dir", str(tmp_path)]
    started = [*command, "start", "--runner", "outside", "--port", port, *place]
    subprocess.run(started, cwd=ROOT, check=True, timeout=120)
    yield f"http://127.0.0.1:{port}"
    subprocess.run([*command, "stop", *place], cwd=ROOT, check=True, timeout=120)


def test_an_instance_is_what_its_host_says(endpoint: str) -> None:
    session = boto3.session.Session("local", "local", region_name="us-east-1")
    client = functools.partial(session.client, endpoint_url=endpoint)
    ec2, autoscaling = client("ec2"), client("autoscaling")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    data = {"ImageId": image, "UserData": base64.b64encode(USER_DATA).decode()}
    ec2.create_launch_template(LaunchTemplateName="hosts", LaunchTemplateData=data)
    create_group(client, "hosts", 1)
    autoscaling.set_desired_capacity(AutoScalingGroupName="hosts", DesiredCapacity=1)

    def reached(state: str) -> str:
        for _unused in range(300):
            rows = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"]
            found = [str(row["InstanceId"]) for row in rows if row["LifecycleState"] == state]
            if found:
                return found[0]
            WAITING.wait(0.1)
        raise AssertionError(f"not {state}: {rows}")

    instance = reached("Pending:Wait")
    autoscaling.complete_lifecycle_action(**HOOK, InstanceId=instance, LifecycleActionResult="CONTINUE")
    assert reached("InService") == instance


def test_nothing_is_imported_for_it(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    options = ["start", "--runner", "outside", "--preload", "noop", "--state-dir", str(tmp_path)]
    assert main(options) == 2
    assert "--preload is for processes" in capsys.readouterr().err
