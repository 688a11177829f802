# SPDX-License-Identifier: GPL-3.0-or-later
"""`make bench-controller`: what a deploy costs its controller beyond waiting, beside the predecessor's AWS CLI calls.

Both against the same local_aws, in the same run, on the same fleet of two ``noop`` workers. The AWS CLI (version 1,
from PyPI) gets an environment of its own under build/bench.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import typing as t

from bench import predecessor
from bench.measure import Call, Cost, Meter
from scripts.rehearsal.stage import ROOT, LocalAws, Playbooks, environment, free_port
from scripts.rehearsal.traffic import wait_until

OUT = ROOT / "build" / "bench"
AWS_CLI = "awscli==1.46.3"
DEPLOYMENT = "bench"
POLL = 10
"""Between two looks, as on AWS."""
REFRESH_SECONDS = 1800
SETTINGS: t.Mapping[str, t.Any] = {
    "deployment_id": DEPLOYMENT,
    "fleet_engine": "noop",
    "fleet_initial_capacity": 2,
    "fleet_release_timing": {
        "poll": POLL,
        "lock_renew": 15,
        "lock_expiry": 60,
        "lock_watch": 20,
        "window": 20,
        "inconclusive_limit": 20,
        "gate_period": 30,
        "gate_periods": 1,
        "alarms_ok": 60,
    },
}
PHASES = ("before the lock", "opening", "rolling out", "closing")


@dataclasses.dataclass(frozen=True)
class Sides:
    """Everything that was measured."""

    idle: Cost
    """A deploy that finds nothing to do: Ansible's and the module's start, and one look."""
    ours: Cost
    fixed: Cost
    """The predecessor's commands without the looks."""
    look: Cost
    """One of its looks."""


def phases(calls: t.Sequence[Call]) -> dict[str, list[Call]]:
    """The calls of a deploy, apart by what they are for."""
    found: dict[str, list[Call]] = {phase: [] for phase in PHASES}
    phase = 0
    for call in calls:
        if phase == 0 and call.name == "ssm.PutParameter":
            phase = 1
        if phase == 2 and call.name == "cloudwatch.DeleteAlarms":
            phase = 3
        found[PHASES[phase]].append(call)
        if call.name == "autoscaling.StartInstanceRefresh":
            phase = 2
    return found


def looks(calls: t.Sequence[Call]) -> int:
    """How often the controller looked at the group."""
    return sum(call.name == "autoscaling.DescribeAutoScalingGroups" for call in calls)


class Bench:
    """One fleet, deployed by both."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.playbooks = Playbooks(aws.endpoint)
        self.mine = Meter(aws.endpoint, "local", environment(aws.endpoint))
        keys = {"AWS_ACCESS_KEY_ID": "predecessor", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}
        self.theirs = Meter(aws.endpoint, "predecessor", {**environment(aws.endpoint), **keys})

    def prepare(self) -> None:
        """A fleet on 1.0.0, and 1.1.0 to release."""
        self.playbooks.run("provision", **SETTINGS)
        for version in ("1.0.0", "1.1.0"):
            self.playbooks.run("build", **SETTINGS, version=version, **source_of(version))
        quick = {name: value for name, value in SETTINGS.items() if name != "fleet_release_timing"}
        self.playbooks.run("deploy", **quick, version="1.0.0")

    def deploy(self, version: str) -> Cost:
        """Our deploy."""
        command = [str(ROOT / ".venv/controller/bin/ansible-playbook"), "playbooks/deploy.yml"]
        return self.mine.run(
            [*command, "-e", json.dumps({**SETTINGS, "version": version, "percentage": 50})], cwd=str(ROOT)
        )

    def cli(self, command: predecessor.Command) -> Cost:
        """One command of the AWS CLI."""
        return self.theirs.run([str(OUT / "venv/bin/aws"), *command], cwd=str(ROOT))

    def predecessor(self) -> tuple[Cost, Cost]:
        """The predecessor's deploy: what it costs without its looks, and one look."""
        fixed = Cost()
        opening = predecessor.opening(DEPLOYMENT, "1.0.0", "1.1.0")
        for command in (*predecessor.preflight(DEPLOYMENT, "1.1.0"), *opening):
            one = self.cli(command)
            fixed += one
        refresh = one.output.strip()
        taken: list[Cost] = []

        def ended() -> bool:
            taken.append(self.cli(predecessor.look(DEPLOYMENT, refresh)))
            return taken[-1].output.strip() not in ("Pending", "InProgress")

        # How often a real predecessor looks is worked out from the settings; here it is only waited for the end.
        wait_until("the end of the refresh", ended, REFRESH_SECONDS, every=2)
        for command in predecessor.closing(DEPLOYMENT):
            fixed += self.cli(command)
        cheapest = min(taken, key=lambda cost: cost.busy)
        return fixed, cheapest

    def measure(self) -> Sides:
        """Both sides."""
        ours = self.deploy("1.1.0")
        idle = self.deploy("1.1.0")
        fixed, look = self.predecessor()
        return Sides(idle, ours, fixed, look)


def source_of(version: str) -> dict[str, t.Any]:
    """Where the source of a version lies: the worker itself, and a copy with another number for the second."""
    from scripts.rehearsal.sources import copy_source, version_edit

    if version == "1.0.0":
        return {}
    copy_source(ROOT / "worker_app", OUT / "source", [version_edit("1.0.0", version)])
    return {"worker_source": str(OUT / "source")}


def table_of_calls(ours: Cost, theirs: Cost) -> str:
    """Calls by operation: ours by phase, and the predecessor's."""
    apart = phases(ours.calls)
    names = sorted({call.name for call in (*ours.calls, *theirs.calls)})
    counts = {phase: Cost(calls=tuple(calls)).by_name() for phase, calls in apart.items()}
    other, mine = theirs.by_name(), ours.by_name()
    rows = [["operation", *PHASES, "together", "predecessor"]]
    for name in names:
        each = [counts[phase].get(name, 0) for phase in PHASES]
        rows.append([name, *(str(n or "") for n in each), str(mine.get(name, 0)), str(other.get(name, "") or "")])
    sums = [str(len(apart[phase])) for phase in PHASES]
    rows.append(["together", *sums, str(len(ours.calls)), str(len(theirs.calls))])
    return as_table(rows)


def table_of_seconds(sides: Sides) -> str:
    """Seconds, without waiting, of both sides for as long as this deploy took, and for one of 39 minutes on AWS."""
    ours, fixed, look = sides.ours, sides.fixed, sides.look
    seen = looks(ours.calls)
    each = (ours.busy - sides.idle.busy) / max(seen - 1, 1)
    rows = [["seconds", "this collection", "predecessor"]]
    rows.append(["start, and one look that finds nothing to do", f"{sides.idle.busy:.2f}", ""])
    rows.append(["all commands but the looks", "", f"{fixed.busy:.2f}"])
    rows.append(
        ["one look, what it leads to included", f"{each:.2f} (every {POLL} s)", f"{look.busy:.2f} (every 30 s)"]
    )
    for label, seconds in ((f"this deploy ({ours.wall:.0f} s)", ours.wall), ("20 %, 100 % on AWS (39 min)", 39 * 60.0)):
        mine = ours.busy if seconds == ours.wall else sides.idle.busy + each * seconds / POLL
        rows.append([label, f"{mine:.1f}", f"{fixed.busy + look.busy * seconds / predecessor.POLL_SECONDS:.1f}"])
    rows.append(["of this deploy: processor", f"{ours.cpu:.1f}", f"{fixed.cpu:.1f} + {look.cpu:.2f} a look"])
    rows.append(
        ["of this deploy: AWS's replies", f"{ours.replies:.1f}", f"{fixed.replies:.1f} + {look.replies:.2f} a look"]
    )
    return as_table(rows)


def as_table(rows: t.Sequence[t.Sequence[str]]) -> str:
    """Markdown."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def install_cli() -> None:
    """The AWS CLI in an environment of its own; there already is fine."""
    if not (OUT / "venv/bin/aws").exists():
        OUT.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(OUT / "venv")], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(OUT / "venv/bin/python"), "install", "--quiet", AWS_CLI]
        subprocess.run(pip, check=True)


def main() -> int:
    """Measure and print."""
    install_cli()
    with LocalAws(free_port(), OUT / "local_aws", "noop") as aws:
        bench = Bench(aws)
        bench.prepare()
        sides = bench.measure()
    print("\n" + table_of_calls(sides.ours, sides.fixed + sides.look))
    print("\n" + table_of_seconds(sides))
    return 0


if __name__ == "__main__":
    sys.exit(main())
