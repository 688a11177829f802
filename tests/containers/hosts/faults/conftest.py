# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts in service from which something is taken away, with the role's own numbers: what follows, and after how long.

The card is a stand-in: a package with the three programs by which Docker and the host's scripts would find one.
"""

from __future__ import annotations

import collections.abc
import contextlib
import itertools
import json
import subprocess
import time
import typing as t
import urllib.request
from pathlib import Path

import pytest

from scripts.hosts import deployment, machine
from scripts.hosts.baking import baked
from scripts.hosts.deployment import Deployment, Instance
from scripts.hosts.machine import Machine
from scripts.hosts.serving import served
from scripts.hosts.site import Site
from scripts.hosts.waiting import until

DEPLOYMENT = "faults"
CACHE = "/var/cache/sd-inference"
DISK_MIB = 700
JOB_SECONDS = 6
CARD = {
    "nvidia-smi": 'echo "GPU 0: stand-in (UUID: GPU-0)"',
    "nvidia-container-runtime": 'exec runc "$@"',
    "nvidia-container-runtime-hook": "exit 0",
}
CONTROL = (
    "Package: nvidia-container-toolkit\nVersion: 1.0\nArchitecture: all\nMaintainer: none\nDescription: stand-in\n"
)
HOOKS = {"Pending:Wait": ("launch", "ABANDON"), "Terminating:Wait": ("terminate", "CONTINUE")}
_numbers = itertools.count(1)
_rows = pytest.StashKey[list[tuple[str, float, float]]]()


class Host:
    """A host in service."""

    def __init__(self, fleet: Deployment, made: Machine, instance: Instance) -> None:
        self.fleet = fleet
        self.machine = made
        self.instance = instance

    def docker(self, *arguments: str) -> str:
        """Docker's command line, on the host."""
        return self.machine.run("docker", *arguments).strip()

    def container(self) -> str:
        """The worker's container, empty while there is none that runs."""
        return self.machine.sh("docker ps --no-trunc --quiet --filter name=^sd-worker$ 2>/dev/null || true").strip()

    def another(self, before: str) -> str:
        """Its container, where it is no longer that one."""
        found = self.container()
        return "" if found == before else found

    def state(self) -> str:
        """Of the instance, as its group has it."""
        return self.fleet.state(self.instance)

    def unhealthy(self) -> bool:
        """Whether the group was told so."""
        return any(entry["event"] == "health" and entry["health"] == "Unhealthy" for entry in self.timeline())

    def timeline(self) -> list[dict[str, t.Any]]:
        """What the group has seen of the instance."""
        with urllib.request.urlopen(f"{self.fleet.site.endpoint}/_local/timeline", timeout=30) as reply:
            return [entry for entry in json.load(reply) if entry["instance"] == self.instance.instance_id]

    def given_up(self) -> str:
        """Why the worker was given up; empty while it is not."""
        return self.machine.sh("cat /run/sd-inference/given-up 2>/dev/null || true").strip()

    def events(self, log: str) -> list[str]:
        """What stands in a log, in order."""
        return [str(line["event"]) for line in self.machine.log(log)]

    def checks(self) -> list[tuple[int, str]]:
        """The health checks that counted as failed, not those of a worker that still started, and what followed."""
        lines = [line for line in self.machine.log("health-check.log") if line["event"] == "unhealthy"]
        return [(line["failed_checks"], line["step"]) for line in lines if line["failed_checks"] or line["step"]]

    def last_check(self) -> int:
        """When the last health check ended: microseconds since boot."""
        asked = ("systemctl", "show", "--property", "ExecMainExitTimestampMonotonic", "--value", "sd-health.service")
        return int(self.machine.run(*asked))

    def wait_checked(self, times: int) -> None:
        """Wait for the end of so many more health checks."""
        for _unused in range(times):
            before = self.last_check()
            until(lambda before=before: self.last_check() > before, "a health check", 30, self.machine.tell)

    def knows_its_worker(self) -> bool:
        """Whether the worker has answered a check: its silence counts from then on."""
        text = self.machine.sh("cat /run/sd-inference/state.json 2>/dev/null || echo '{}'")
        return bool(json.loads(text).get("answered"))

    def busy(self) -> bool:
        """Whether a job is in hand."""
        script = "curl -fsS http://127.0.0.1:8080/status || echo '{}'"
        return json.loads(self.machine.sh(script)).get("state") == "busy"

    def begin(self, name: str) -> None:
        """Give it a job, and wait until that is in hand."""
        self.fleet.account.send(
            {"id": name, "api": "/sdapi/v1/txt2img", "payload": {"prompt": "a red three", "steps": 12}}
        )
        until(self.busy, f"{name} to begin", 30, self.machine.tell)

    def result(self, name: str) -> dict[str, t.Any]:
        """What became of a job."""
        until(lambda: name in self.fleet.account.answered(), f"the result of {name}", 60, self.machine.tell)
        return self.fleet.account.results()[name]


class Stopwatch:
    """Runs from the fault on."""

    def __init__(self, host: Host, fault: str, rows: list[tuple[str, float, float]]) -> None:
        self._host, self._fault, self._rows, self._began = host, fault, rows, time.monotonic()

    def until(self, condition: t.Callable[[], t.Any], what: str, stated: float, at_most: float) -> None:
        """Wait for it, and note the seconds beside those that docs/hosts.md states. Raises TimeoutError."""
        left = self._began + at_most - time.monotonic()
        until(condition, f"{what} after {self._fault}", left, self._host.machine.tell)
        self._rows.append((f"{self._fault}: {what}", stated, time.monotonic() - self._began))


Watch = t.Callable[[str], Stopwatch]


@pytest.fixture(scope="package")
def fleet(place: Site) -> Deployment:
    """A deployment whose jobs take long enough to be met by a fault."""
    made = Deployment(place, DEPLOYMENT)
    made.create(deployment.build(place, DEPLOYMENT), **deployment.NOOP, SD_NOOP_MS=str(1000 * JOB_SECONDS))
    return made


@pytest.fixture(scope="package")
def card(place: Site, tmp_path_factory: pytest.TempPathFactory) -> collections.abc.Iterator[str]:
    """Where machines find the package of the card's stand-in."""
    folder = tmp_path_factory.mktemp("card")
    _write(folder / "tree" / "DEBIAN" / "control", CONTROL)
    for name, script in CARD.items():
        _write(folder / "tree" / "usr" / "bin" / name, f"#!/bin/sh\n{script}\n").chmod(0o755)
    subprocess.run(["dpkg-deb", "--build", "tree", "card.deb"], cwd=folder, check=True, capture_output=True)
    with served(folder, place.gateway) as address:
        yield f"{address}/card.deb"


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="package")
def role(card: str) -> dict[str, t.Any]:
    """The role's variables: a card, and a disk for the cache; of its times none is changed."""
    return {
        **machine.NO_CARD,
        "gpu_worker_deployment_id": DEPLOYMENT,
        "gpu_worker_gpu": True,
        "gpu_worker_package_files": [{"name": "nvidia-container-toolkit", "url": card}],
        "gpu_worker_disk_paths": ["/", CACHE],
    }


@pytest.fixture(scope="package")
def host_image(fleet: Deployment, role: dict[str, t.Any]) -> str:
    """A machine to which the role was applied."""
    return baked(role)


@pytest.fixture
def switched_on(fleet: Deployment, host_image: str) -> collections.abc.Iterator[Host]:
    """A host that has the identity of an instance, and has not booted. The disk of its cache is a small one."""
    options = ("--tmpfs", f"{CACHE}:size={DISK_MIB}m,uid=10001,gid=10001,mode=755")
    with Machine.create(f"fleet-fault-{next(_numbers)}", host_image, *options) as made:
        instance = fleet.launch()
        made.join(instance)
        yield Host(fleet, made, instance)
    autoscaling = fleet.account.client("autoscaling")
    autoscaling.set_desired_capacity(AutoScalingGroupName=fleet.names.group, DesiredCapacity=0)
    until(lambda: emptied(fleet, autoscaling), "an empty group", 60)


def emptied(fleet: Deployment, autoscaling: t.Any) -> bool:
    """Whether the group is empty; no host is left that would let its own instance go, or that of its successor."""
    members = fleet.members()
    for name, row in members.items():
        if row["LifecycleState"] == "InService":  # protected by a worker that was stopped in the middle of a job
            autoscaling.terminate_instance_in_auto_scaling_group(InstanceId=name, ShouldDecrementDesiredCapacity=False)
        elif row["LifecycleState"] in HOOKS:
            hook, result = HOOKS[row["LifecycleState"]]
            with contextlib.suppress(autoscaling.exceptions.ClientError):  # answered a moment ago
                autoscaling.complete_lifecycle_action(
                    AutoScalingGroupName=fleet.names.group,
                    InstanceId=name,
                    LifecycleHookName=hook,
                    LifecycleActionResult=result,
                )
    return not members


@pytest.fixture
def host(switched_on: Host) -> Host:
    """A host in service, whose worker has answered a check."""
    switched_on.machine.boot()
    switched_on.machine.wait_ready()
    switched_on.fleet.wait_state(switched_on.instance, "InService", 30)
    until(switched_on.knows_its_worker, "the first health check", 30, switched_on.machine.tell)
    return switched_on


@pytest.fixture
def watch(request: pytest.FixtureRequest, switched_on: Host) -> Watch:
    """Starts a stopwatch; what they show is printed at the end."""
    rows = request.config.stash.setdefault(_rows, [])
    return lambda fault: Stopwatch(switched_on, fault, rows)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The measured seconds, beside those that docs/hosts.md states."""
    rows = config.stash.get(_rows, [])
    if rows:
        terminalreporter.section("faults of hosts: seconds, and those stated")
        for what, stated, seconds in rows:
            terminalreporter.write_line(f"{seconds:6.1f} s  ({stated:g} s)  {what}")
