# SPDX-License-Identifier: GPL-3.0-or-later
"""What a platform engineer does from a shell, for tests: playbooks to the end or killed on the way, and looks."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import time
import typing as t

import boto3

from scripts.rehearsal.admin import set_faults
from scripts.rehearsal.sources import copy_source
from tests.support.playbooks import ANSIBLE_PLAYBOOK, ROOT, Run, run_playbook

DEPLOYMENT = "e2e"
COMMON: t.Mapping[str, t.Any] = {
    "deployment_id": DEPLOYMENT,
    "fleet_engine": "noop",
    "fleet_initial_capacity": 2,
}

PATIENT: t.Mapping[str, t.Any] = {
    "poll": 1,
    "lock_renew": 3,
    "lock_expiry": 10,
    "lock_watch": 4,
    "window": 3,
    "inconclusive_limit": 14,
    "gate_period": 10,
    "gate_periods": 2,
}
"""A gate that leaves the time to start another run by hand."""


@dataclasses.dataclass
class Site:
    """One deployment on one local AWS."""

    endpoint: str

    def play(self, name: str, *, expect: int = 0, check: bool = False, **variables: t.Any) -> Run:
        """Run a playbook to the end, and insist on its exit status."""
        arguments = ["-e", json.dumps({**COMMON, **variables}), *(["--check", "--diff"] if check else [])]
        run = run_playbook(ROOT / "playbooks" / f"{name}.yml", self.endpoint, *arguments)
        if run.code != expect:
            raise AssertionError(f"{name}.yml exited {run.code}, not {expect}: {run.failures() or run.text[-4000:]}")
        return run

    @contextlib.contextmanager
    def playing(self, name: str, **variables: t.Any) -> t.Iterator[subprocess.Popen[str]]:
        """A playbook under way, with its output as a user sees it; killed on leaving if it still runs."""
        command = [str(ANSIBLE_PLAYBOOK), f"playbooks/{name}.yml", "-e", json.dumps({**COMMON, **variables})]
        environment = {**os.environ, "AWS_ENDPOINT_URL": self.endpoint, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        environment |= {"PYTHONUNBUFFERED": "1", "LC_ALL": "C.UTF-8"}
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            t.cast(t.IO[str], process.stdout).close()

    def build(self, version: str, **patch: t.Any) -> None:
        """Build a version: the worker of this checkout, with texts replaced in files named by their path."""
        source = ROOT / "build" / "e2e" / version
        copy_source(ROOT / "worker_app", source, ())
        marker = source / "src" / "api_scheduler" / "__init__.py"
        marker.write_text(marker.read_text() + f"\nBUILD = {version!r}\n")
        self.play("build", version=version, worker_source=str(source), **patch)

    # ------------------------------------------------------------ looks

    def client(self, service: str) -> t.Any:
        """A boto3 client."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def status(self) -> dict[str, t.Any]:
        """What status.yml says to machines."""
        text = self.play("status", status_format="json").text
        return dict(json.loads(next(line for line in text.splitlines() if line.startswith('{"'))))

    def parameter(self, name: str) -> str:
        """A plain parameter."""
        found = self.client("ssm").get_parameter(Name=f"/sd-inference/{DEPLOYMENT}/{name}")
        return str(found["Parameter"]["Value"])

    def template_versions(self) -> set[str]:
        """Template versions of the instances in service."""
        return {row["LaunchTemplate"]["Version"] for row in self._instances() if row["LifecycleState"] == "InService"}

    def refresh_status(self) -> str:
        """Status of the newest instance refresh."""
        rows = self.client("autoscaling").describe_instance_refreshes(AutoScalingGroupName=f"sd-inference-{DEPLOYMENT}")
        return str(rows["InstanceRefreshes"][0]["Status"])

    def _instances(self) -> list[dict[str, t.Any]]:
        autoscaling = self.client("autoscaling")
        groups = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[f"sd-inference-{DEPLOYMENT}"])
        return list(groups["AutoScalingGroups"][0]["Instances"])

    def faults(self, faults: list[dict[str, t.Any]]) -> None:
        """Let AWS misbehave; an empty list ends it."""
        set_faults(self.endpoint, *faults)


def read_until(process: subprocess.Popen[str], text: str, seconds: float) -> str:
    """What the playbook said up to a line that contains ``text``."""
    deadline, said = time.monotonic() + seconds, ""
    for line in t.cast(t.IO[str], process.stdout):
        said += line
        if text in line:
            return said
        if time.monotonic() > deadline:
            break
    raise AssertionError(f"{text!r} was not said within {seconds} s:\n{said}")
