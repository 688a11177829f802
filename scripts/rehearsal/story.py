# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo from its first line to its last."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import signal
import sys
import typing as t

from . import sources
from .account import ACCOUNT, REGION, Account
from .casts import Cast, cast
from .checks import Check, equal_check
from .containers import Engine, EngineFailed
from .phases import Phases
from .prompts import request
from .sheet import Print, contact_sheet
from .stage import OUT, ROOT, STATE, DemoFailed, LocalAws, Playbooks, free_port
from .summary import Story, summarise, table
from .traffic import Traffic, wait_for_answers

DEPLOYMENT = "demo"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
LABEL = "org.diffusion.fleet.local-aws"
WORKER = ROOT / "worker_app"
FIRST_REQUESTS = 24
SUBMITTED_AT_ONCE = 8  # from ten waiting requests on the fleet scales out, and the releases are to be of five instances
TRAFFIC_REQUESTS = 60
EVERY_SECONDS = 0.6
INSTANCES = 5


class Demo:
    """The acts, each a method, over one account."""

    def __init__(self, aws: LocalAws, phases: Phases, played_by: Cast, engine: Engine | None) -> None:
        self.aws = aws
        self.phases = phases
        self.cast = played_by
        self.engine = engine
        self.story = Story(reads_digits=played_by.reads_digits)
        self.account = Account(aws.endpoint, DEPLOYMENT)
        self.playbooks = Playbooks(aws.endpoint, played_by.variables)

    def play(self) -> dict[str, t.Any]:
        """Everything, in order; the summary."""
        self.provision()
        self.first_release()
        self.pictures()
        self.good_release()
        self.bad_release()
        self.rollback()
        self.status()
        with self.phases.phase("count everything"):
            return summarise(self.story, self.account, self.aws.timeline(), self.phases)

    def provision(self) -> None:
        """The infrastructure."""
        with self.phases.phase("provision"):
            self.playbooks.run("provision")

    def build(self, version: str, **variables: t.Any) -> None:
        """One image."""
        self.playbooks.run("build", version=version, **variables)
        self.story.versions[version] = self.account.digest(version)

    def first_release(self) -> None:
        """1.0.0 on a group of five."""
        with self.phases.phase("build 1.0.0"):
            self.build("1.0.0")
        with self.phases.phase("first release, 1.0.0"):
            self.playbooks.run("deploy", version="1.0.0")
        self.check("instances in service after the first release", len(self.account.versions_in_service()), INSTANCES)
        self.check("stable after the first release", self.account.parameter("image-version"), "1.0.0")
        if self.engine:
            image = f"{REGISTRY}/{self.account.group}@{self.story.versions['1.0.0']}"
            running = self.engine.containers(f"{LABEL}={STATE}")
            self.check("containers of the image by its digest", running, [image] * INSTANCES)

    def pictures(self) -> None:
        """Requests by the playbook, and a contact sheet of what came."""
        requests = [request(number, "first") for number in range(FIRST_REQUESTS)]
        with self.phases.phase(f"{FIRST_REQUESTS} requests and the contact sheet"):
            for start in range(0, FIRST_REQUESTS, SUBMITTED_AT_ONCE):
                self.submit(requests[start : start + SUBMITTED_AT_ONCE])
            self.remember("first", FIRST_REQUESTS)
            prints = [
                Print(OUT / "first" / f"{one['id']}-0.png", one["payload"]["prompt"], one["payload"]["seed"])
                for one in requests
            ]
            contact_sheet(prints, OUT / "contact-sheet.png")
            print(f"contact sheet: {OUT / 'contact-sheet.png'}")

    def submit(self, requests: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        """Send these and wait for their pictures."""
        listed = OUT / "requests.json"
        listed.write_text(json.dumps(requests), encoding="utf-8")
        self.playbooks.run("submit", requests_file=listed, dest=OUT / "first")

    def good_release(self) -> None:
        """1.1.0 at 20 %, under traffic, on no fewer instances than the first release brought."""
        serving = len(self.account.versions_in_service())
        self.story.checks.append(Check("instances in service before 1.1.0", serving >= INSTANCES, f"{serving}"))
        source = OUT / "src-1.1.0"
        sources.copy_source(WORKER, source, [sources.version_edit("1.0.0", "1.1.0"), sources.SMALLER_PICTURES])
        with self.phases.phase("build 1.1.0"):
            self.build("1.1.0", worker_source=source)
        with self.phases.phase("deploy 1.1.0 at 20 % under traffic"):
            sent = self.deploy_under_traffic("1.1.0", "good", fails=False)
        self.story.checks.append(
            Check("requests that flowed while 1.1.0 went out", sent >= TRAFFIC_REQUESTS, f"{sent}")
        )
        self.check("stable after 1.1.0", self.account.parameter("image-version"), "1.1.0")

    def bad_release(self) -> None:
        """1.2.0, whose jobs fail, comes back by itself."""
        source = OUT / "src-1.2.0"
        edits = [sources.version_edit("1.1.0", "1.2.0"), self.cast.broken]
        sources.copy_source(OUT / "src-1.1.0", source, edits)
        with self.phases.phase("build 1.2.0"):
            self.build("1.2.0", worker_source=source)
        with self.phases.phase("deploy 1.2.0 at 20 %: its jobs fail"):
            self.deploy_under_traffic("1.2.0", "bad", fails=True)
        self.check("stable after the failed 1.2.0", self.account.parameter("image-version"), "1.1.0")
        record = self.account.history()[-1]
        steps = sorted({verdict["step"] for verdict in record["verdicts"]})
        self.story.checks.append(Check("1.2.0 was judged at the first step only", len(steps) == 1, f"steps {steps}"))
        print(f"rolled back by itself: {record['reason']}")
        print(json.dumps(record["verdicts"], indent=2))

    def deploy_under_traffic(self, version: str, prefix: str, *, fails: bool) -> int:
        """Deploy while requests flow and wait for their results; how many were sent before it ended."""
        traffic = Traffic(self.account, prefix, EVERY_SECONDS, TRAFFIC_REQUESTS)
        try:
            with traffic:
                self.playbooks.run("deploy", version=version, percentage=20, fails=fails)
        finally:
            self.remember(prefix, len(traffic.sent))
        wait_for_answers(self.account, traffic.sent)
        return traffic.sent_while_open

    def rollback(self) -> None:
        """Back to 1.0.0 by hand; and once more, which has nowhere to go."""
        with self.phases.phase("roll back from 1.1.0 to 1.0.0"):
            self.playbooks.run("rollback", reason="the demo goes back")
        before = self.account.ledger()
        with self.phases.phase("roll back again: nothing to go back to"):
            again = self.playbooks.run("rollback")
        self.check("the second rollback leaves the ledger as it was", self.account.ledger() == before, True)
        why = "there is nothing to roll back to; nothing was changed"
        self.story.checks.append(Check("the second rollback says why", again.says(why), why))

    def status(self) -> None:
        """What status.yml shows, and what it must be."""
        with self.phases.phase("status"):
            shown = self.playbooks.run("status")
        for line in ("demo: stable", "stable 1.0.0 (", "previous none", "rejected 1.1.0:", "rejected 1.2.0:"):
            self.story.checks.append(
                Check(f"status.yml shows: {line}", shown.says(line), str(shown.says(line)).lower())
            )
        ledger = self.account.ledger()
        self.check("stable", ledger["stable"]["version"], "1.0.0")
        self.check("previous", ledger["previous"], None)
        self.check("rejected", sorted(one["version"] for one in ledger["rejected"]), ["1.1.0", "1.2.0"])
        self.check("parameter image-version", self.account.parameter("image-version"), "1.0.0")
        self.check("parameter previous-version", self.account.parameter("previous-version"), "none")
        self.check("parameter deployment-status", self.account.parameter("deployment-status"), "stable")

    def remember(self, prefix: str, count: int) -> None:
        """These requests were accepted by the queue."""
        for one in (request(number, prefix) for number in range(count)):
            self.story.sent.append(one["id"])
            self.story.digits[one["id"]] = one["context"]["digit"]

    def check(self, name: str, found: t.Any, expected: t.Any) -> None:
        """Note whether a value is what it should be."""
        self.story.checks.append(equal_check(name, found, expected))


@contextlib.contextmanager
def stage(played_by: Cast) -> t.Iterator[tuple[LocalAws, Engine | None]]:
    """The server that the cast plays on, and its container engine; both are ended on every path."""
    if played_by.runner == "process":
        with LocalAws(free_port()) as aws:
            yield aws, None
        return
    options = ("--runner", "docker", "--registry-port", str(free_port()))
    with Engine(DEPLOYMENT) as engine:
        with LocalAws(free_port(), preload=None, options=options) as aws:
            registry = aws.state()["registry"]
            engine.trust(registry["host"], registry["port"], registry["ca_file"])
            yield aws, engine
        left = engine.containers(f"{LABEL}={STATE}")
        if left:
            raise DemoFailed(f"containers are left after the server has ended: {left}")


def main(argv: t.Sequence[str] | None = None) -> int:
    """Play the demo; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runner", choices=("process", "docker"), default="process", help="what instances are")
    played_by = cast(parser.parse_args(argv).runner)
    signal.signal(signal.SIGTERM, lambda *_unused: sys.exit(143))  # so that the server is stopped then too
    shutil.rmtree(OUT / "first", ignore_errors=True)
    shutil.rmtree(OUT / "pictures", ignore_errors=True)
    OUT.mkdir(parents=True, exist_ok=True)
    phases = Phases()
    try:
        with stage(played_by) as (aws, engine):
            summary = Demo(aws, phases, played_by, engine).play()
    except (DemoFailed, EngineFailed, sources.SourceChanged) as error:
        print(f"\ndemo failed after {phases.total():.0f} s: {error}", file=sys.stderr)
        return 1
    print(f"\n{table(summary)}\n\nsummary: {OUT / 'summary.json'}\npictures: {OUT / 'contact-sheet.png'}")
    return 0 if summary["ok"] else 1
