# SPDX-License-Identifier: GPL-3.0-or-later
"""`make bad-candidates`: each bad build is deployed under traffic by the real playbook, and must come back by itself.

Real worker processes with the ``noop`` engine on a local_aws of their own. It prints a table and fails when a bad build
became stable, took longer than its limit, or cost a single request.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import shutil
import signal
import sys
import time
import typing as t

from campaign import bad_builds, on_aws
from campaign.bad_builds import BadBuild
from scripts.rehearsal import checks
from scripts.rehearsal.account import Account
from scripts.rehearsal.checks import Check
from scripts.rehearsal.stage import ROOT, DemoFailed, LocalAws, PlaybookRun, Playbooks, free_port
from scripts.rehearsal.traffic import Traffic, wait_for_answers

OUT = ROOT / "build" / "bad-candidates"
DEPLOYMENT = "bad"
STABLE = "1.0.0"
INSTANCES = 4
PERCENTAGE = 50
"""Two candidates of four instances at the first step."""
EVERY_SECONDS = 0.25
SETTINGS: t.Mapping[str, t.Any] = {
    "deployment_id": DEPLOYMENT,
    "fleet_engine": "noop",
    "fleet_initial_capacity": INSTANCES,
    # The shortest that AWS takes. It bounds the candidate that never becomes ready.
    "fleet_launch_hook_seconds": 30,
    "fleet_worker_env": {
        "SD_HOOK_POLL_SECONDS": "0.5",
        "SD_HTTP_HOST": "127.0.0.1",
        "SD_HTTP_PORT": "0",
        "SD_STATUS_SECONDS": "2",
        "SD_METRICS_SECONDS": "10",
        "SD_VISIBILITY_SECONDS": "10",
        "SD_BACKOFF_SECONDS": "1",
        "SD_NOOP_MS": "100",
        "SD_HANG_SECONDS": "4",
    },
    # As on AWS: the noop engine takes the same time however busy this machine is.
    "fleet_release_limits": {"min_jobs": 20, "max_latency_ratio": 1.5},
    "fleet_release_smoke": {
        "count": 20,
        "payload": {"prompt": "a red three", "steps": 8, "width": 32, "height": 32},
    },
}


@dataclasses.dataclass(frozen=True)
class Row:
    """What one bad build came to."""

    build: BadBuild
    reason: str
    verdict: float
    back: float
    aws: on_aws.Estimate
    sent: list[str]
    floor: Check
    dead: int
    """In the dead letter queue once it was over."""
    broken: list[str]


class Campaign:
    """One fleet, and the bad builds that are tried on it."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.account = Account(aws.endpoint, DEPLOYMENT)
        self.playbooks = Playbooks(aws.endpoint)

    def play(self, name: str, *, fails: bool = False, **variables: t.Any) -> PlaybookRun:
        """Run a playbook with the campaign's settings."""
        return self.playbooks.run(name, fails=fails, **SETTINGS, **variables)

    def prepare(self) -> None:
        """A fleet whose stable release is good."""
        self.play("provision")
        self.play("build", version=STABLE)
        self.play("deploy", version=STABLE)

    def attempt(self, number: int, build: BadBuild) -> Row:
        """Deploy a bad build under traffic and see it come back."""
        version = f"2.{number}.0"
        source = bad_builds.write_source(build, OUT / "source" / build.key, version)
        self.play("build", version=version, worker_source=str(source))
        traffic = Traffic(self.account, build.key, EVERY_SECONDS, 0)
        began, began_at = time.monotonic(), dt.datetime.now(dt.UTC)
        with traffic:
            run = self.play("deploy", fails=True, version=version, percentage=PERCENTAGE)
            back = time.monotonic() - began
        wait_for_answers(self.account, traffic.sent)
        record = self.account.history()[-1]
        decided = self.account.changed_at("deployment-status", "rolling-back", began_at)
        return Row(
            build=build,
            reason=record["reason"],
            verdict=(decided - began_at).total_seconds(),
            back=back,
            aws=on_aws.estimate(build.key, self.seen(record, decided)),
            sent=traffic.sent,
            floor=self.capacity(record),
            dead=self.account.dead_letters(),
            broken=self.broken(version, run, record),
        )

    def broken(self, version: str, run: PlaybookRun, record: t.Mapping[str, t.Any]) -> list[str]:
        """Which of the claims do not hold: it came back by itself, and the run said why in its last line."""
        shown = run.output.partition("[ERROR]")[0]
        last = [line for line in shown.splitlines() if line.startswith("  ")][-1:]
        ledger = self.account.ledger()
        claims = {
            "its record says rolled_back": (record["outcome"], record["version"]) == ("rolled_back", version),
            f"the last line tells the reason: {last}": record["reason"] in "".join(last),
            "the reason has its numbers": any(character.isdigit() for character in record["reason"]),
            "stable is what it was": (ledger["status"], ledger["stable"]["version"]) == ("stable", STABLE),
            "it is rejected": version in [one["version"] for one in ledger["rejected"]],
            "all instances run stable": set(self.account.versions_in_service()) == {STABLE},
        }
        return [claim for claim, held in claims.items() if not held]

    def seen(self, record: t.Mapping[str, t.Any], decided: dt.datetime) -> on_aws.Seen:
        """The candidate's instances and jobs up to the verdict."""
        release = record["candidate"]["release_id"]
        jobs = [job for job in self.account.jobs() if job["release_id"] == release]
        before = [job for job in jobs if dt.datetime.fromisoformat(job["time"]) <= decided]
        return on_aws.Seen(instances=INSTANCES * PERCENTAGE // 100, jobs=len(before))

    def capacity(self, record: t.Mapping[str, t.Any]) -> Check:
        """Never fewer instances in service than the plan's floor."""
        samples = checks.in_service(self.aws.timeline())
        return checks.capacity_check(checks.capacities([record], samples)[0])

    def requests(self, rows: t.Sequence[Row]) -> list[checks.Requests]:
        """What became of the requests of each row."""
        results, writes, jobs = self.account.results(), self.account.result_writes(), self.account.jobs()
        counted = []
        for row in rows:
            asked = set(row.sent)
            mine = {name: result for name, result in results.items() if name in asked}
            counted.append(checks.count_requests(row.sent, mine, writes, jobs))
        return counted


def table(rows: t.Sequence[Row], counted: t.Sequence[checks.Requests]) -> str:
    """The figures, a row a candidate."""
    head = (
        "candidate | verdict / back on stable here, s | on AWS, s | requests sent / succeeded / lost / dead letters | "
        "drawn twice | capacity | detected by"
    )
    lines = [head, " | ".join(["---"] * 7)]
    for row, requests in zip(rows, counted, strict=True):
        lost = len(requests.unanswered) + len(requests.failed)
        cells = (
            row.build.name,
            f"{row.verdict:.0f} / {row.back:.0f}",
            f"{row.aws.verdict:.0f} / {row.aws.back:.0f} ({row.aws.how})",
            f"{requests.accepted} / {requests.succeeded} / {lost} / {row.dead}",
            str(len(requests.drawn_twice)),
            row.floor.detail,
            row.reason,
        )
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def judge(rows: t.Sequence[Row], counted: t.Sequence[checks.Requests]) -> list[str]:
    """What did not hold."""
    wrong: list[str] = []
    for row, requests in zip(rows, counted, strict=True):
        if row.back > row.build.limit:
            wrong.append(f"{row.build.name}: back after {row.back:.0f} s, more than {row.build.limit:.0f}")
        wrong += [f"{row.build.name}: not so: {claim}" for claim in row.broken]
        wrong += [f"{row.build.name}: {row.dead} requests in the dead letter queue"] if row.dead else []
        found = (checks.request_check(requests), row.floor)
        wrong += [f"{row.build.name}: {check.name}: {check.detail}" for check in found if not check.ok]
    return wrong


def run(builds: t.Sequence[BadBuild]) -> list[str]:
    """All of it; what did not hold."""
    with LocalAws(free_port(), OUT / "local_aws", "noop") as aws:
        campaign = Campaign(aws)
        campaign.prepare()
        rows = [campaign.attempt(number, build) for number, build in enumerate(builds, 1)]
        counted = campaign.requests(rows)
    print("\n" + table(rows, counted))
    return judge(rows, counted)


def main() -> int:
    """Run those that are named, or all; the exit status."""
    signal.signal(signal.SIGTERM, lambda *_unused: sys.exit(143))  # so that the server is stopped then too
    parser = argparse.ArgumentParser(prog="python -m campaign.bad_candidates")
    known = {build.key: build for build in (*bad_builds.ALL, *bad_builds.MORE)}
    parser.add_argument("builds", nargs="*", choices=[*known, []], help="which of them; the five when none is named")
    wanted = [known[key] for key in parser.parse_args().builds] or list(bad_builds.ALL)
    shutil.rmtree(OUT / "source", ignore_errors=True)
    began = time.monotonic()
    try:
        wrong = run(wanted)
    except DemoFailed as error:
        wrong = [str(error)]
    print(f"{len(wanted)} bad candidates in {time.monotonic() - began:.0f} s: {'; '.join(wrong) or 'all held'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
