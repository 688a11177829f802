# SPDX-License-Identifier: GPL-3.0-or-later
"""Random situations, what check mode says of a run there, and what the run then does."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import json
import random
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from local_aws.harness import Harness
from tests.support.fleet import QUICK_TIMING, Fleet
from tests.support.invariants import records

TIMING = {**QUICK_TIMING, "poll": 5, "lock_renew": 15}
Wish = dict[str, t.Any]


@dataclasses.dataclass
class Compared:
    """A prediction beside what came of it."""

    situation: str
    wish: Wish
    said: str
    did: str
    differences: list[str]


def compare(harness: Harness, seed: int) -> Compared:
    """Make the situation of that seed, predict, run, compare."""
    rng = random.Random(seed)
    fleet = Fleet(harness, rng.choice([1, 2, 3, 4]))
    fleet.timing = TIMING
    fleet.traffic.jobs_per_second = 0.5
    situation = rng.choice(SITUATIONS)
    situation(fleet, rng)
    wish = _wish(fleet, rng)
    before = _state(fleet)
    said, prediction = _predict(fleet, wish)
    differences = ["check mode changed something"] if _state(fleet) != before else []
    started = fleet.now()
    did, result = _run(fleet, wish)
    differences += _differences(fleet, prediction, result, started, before)
    name = f"{situation.__name__.strip('_')}, {fleet.size} instances"
    return Compared(name, wish, said, did, differences)


# ---------------------------------------------------------------- situations


def _nothing_released(fleet: Fleet, rng: random.Random) -> None:
    fleet.build("1.0.0")


def _stable(fleet: Fleet, rng: random.Random) -> None:
    for number in range(rng.choice([1, 1, 2])):
        fleet.build(f"1.{number}.0")
        fleet.release(version=f"1.{number}.0", percentage="100")
    fleet.build("2.0.0")


def _no_news(fleet: Fleet, rng: random.Random) -> None:
    fleet.build("1.0.0")
    fleet.release(version="1.0.0")


def _rejected(fleet: Fleet, rng: random.Random) -> None:
    _stable(fleet, rng)
    fleet.traffic.failing.add("2.0.0")
    _run(fleet, {"version": "2.0.0", "percentage": "100"})
    fleet.traffic.failing.clear()


def _left_by_hand(fleet: Fleet, rng: random.Random) -> None:
    _stable(fleet, rng)
    fleet.release(version="2.0.0", percentage="100")
    fleet.release(state="rolled_back")


def _abandoned(fleet: Fleet, rng: random.Random) -> None:
    _stable(fleet, rng)
    line = rng.choice(["starting the instance refresh", "reached, judging", "pass: "])
    fleet.start(lambda said: line in said, version="2.0.0", percentage="50")


def _abandoned_and_rolled_back(fleet: Fleet, rng: random.Random) -> None:
    _abandoned(fleet, rng)
    fleet.sleep(300)


def _lock_of_the_dead(fleet: Fleet, rng: random.Random) -> None:
    _stable(fleet, rng)
    record = json.dumps({"run": "elsewhere", "owner": "somebody", "host": "elsewhere"})
    name = fleet.names.lock(fleet.ledger.epoch + 1)
    fleet.client("ssm").put_parameter(Name=name, Value=record, Type="String")
    fleet.sleep(rng.choice([1, 60]))


def _edited(fleet: Fleet, rng: random.Random) -> None:
    _stable(fleet, rng)
    name = rng.choice(["image-version", "previous-version", "deployment-status"])
    fleet.client("ssm").put_parameter(Name=f"{fleet.names.root}/{name}", Value="6.6.6", Overwrite=True)


def _asleep(fleet: Fleet, rng: random.Random) -> None:
    _stable(fleet, rng)
    fleet.client("autoscaling").set_desired_capacity(AutoScalingGroupName=fleet.names.group, DesiredCapacity=0)
    fleet.sleep(60)


def _refreshed_by_others(fleet: Fleet, rng: random.Random) -> None:
    _stable(fleet, rng)
    fleet.client("autoscaling").start_instance_refresh(AutoScalingGroupName=fleet.names.group)
    fleet.sleep(rng.choice([1, 200]))


def _template_deleted(fleet: Fleet, rng: random.Random) -> None:
    _stable(fleet, rng)
    fleet.release(version="2.0.0", percentage="100")
    previous = fleet.ledger.previous
    version = previous.template_version if previous else "2"
    fleet.client("ec2").delete_launch_template_versions(LaunchTemplateName=fleet.names.group, Versions=[version])


def _paused(fleet: Fleet, rng: random.Random) -> None:
    _stable(fleet, rng)
    pauses = rng.choice([(True, False), (True, True), (False, True)])
    steps = [{"percentage": share, "pause": pause} for share, pause in zip((30, 70), pauses, strict=True)]
    fleet.release(version="2.0.0", steps=[*steps, 100])


SITUATIONS: tuple[t.Callable[[Fleet, random.Random], None], ...] = (
    _nothing_released,
    _stable,
    _stable,
    _no_news,
    _rejected,
    _left_by_hand,
    _abandoned,
    _abandoned_and_rolled_back,
    _lock_of_the_dead,
    _edited,
    _asleep,
    _refreshed_by_others,
    _template_deleted,
    _paused,
)


def _wish(fleet: Fleet, rng: random.Random) -> Wish:
    version = rng.choice([None, None, "2.0.0", "2.0.0", "1.0.0", "9.9.9"])
    share: Wish = rng.choice([{"percentage": str(rng.randint(1, 100))}, {"steps": ["5", "40", "100"]}, {}])
    forward: Wish = {**share, **({"version": version} if version else {})}
    bad: Wish = {"percentage": rng.choice(["0", "101", "many"])}
    back: Wish = {"state": "rolled_back"}
    to_version: Wish = {**back, "to_version": rng.choice(["1.0.0", "2.0.0", "9.9.9"])}
    insisting: Wish = {**forward, "retry_rejected": True}
    promoted: Wish = {"state": "promoted", "full": rng.choice([True, False])}
    return rng.choices([forward, insisting, back, to_version, promoted, bad], [12, 2, 4, 3, 3, 1])[0]


# ---------------------------------------------------------------- prediction and run


def _predict(fleet: Fleet, wish: Wish) -> tuple[str, dict[str, t.Any] | FleetError]:
    try:
        result = fleet.predict(**wish)
    except FleetError as error:
        return f"{type(error).__name__}: {error.message}", error
    return result["lines"][0], result


def _run(fleet: Fleet, wish: Wish) -> tuple[str, dict[str, t.Any] | FleetError]:
    try:
        result = fleet.release(**wish)
    except FleetError as error:
        return f"{type(error).__name__}: {error.message}", error
    return result["lines"][-1], result


def _state(fleet: Fleet) -> tuple[t.Any, ...]:
    """Everything that check mode must leave alone."""
    ssm, ec2 = fleet.client("ssm"), fleet.client("ec2")
    rows = ssm.get_parameters_by_path(Path=fleet.names.root, Recursive=True)["Parameters"]
    parameters = {row["Name"]: (row["Value"], row["Version"]) for row in rows}
    templates = ec2.describe_launch_template_versions(LaunchTemplateName=fleet.names.group)["LaunchTemplateVersions"]
    queues = fleet.client("sqs").list_queues().get("QueueUrls", [])
    group = {name: value for name, value in fleet.group().items() if name != "Instances"}
    return parameters, len(templates), sorted(queues), group, records(fleet)


def _differences(
    fleet: Fleet,
    said: dict[str, t.Any] | FleetError,
    did: dict[str, t.Any] | FleetError,
    started: dt.datetime,
    before: tuple[t.Any, ...],
) -> list[str]:
    if isinstance(said, FleetError):
        return _refusal(fleet, said, did, before)
    found = []
    stable = fleet.ledger.stable
    target = said["diff"]["after"].splitlines()[0].removeprefix("stable: ")
    if target != (stable.version if stable else "none"):
        found.append(f"said that {target} would be stable, it is {stable.version if stable else 'none'}")
    changed = did.details.get("changed", False) if isinstance(did, FleetError) else did["changed"]
    if said["changed"] != changed:
        found.append(f"said changed={said['changed']}, it was {changed}")
    return found + _steps(fleet, said, did, started)


def _refusal(
    fleet: Fleet, said: FleetError, did: dict[str, t.Any] | FleetError, before: tuple[t.Any, ...]
) -> list[str]:
    if not isinstance(did, FleetError):
        return ["check mode refused, the run did not"]
    found = [] if said.message == did.message else ["refused with other words"]
    # The first of these are the parameters: a lock that is left and what was edited are put right all the same.
    return found if _state(fleet)[1:] == before[1:] else [*found, "refused, and changed something"]


def _steps(fleet: Fleet, said: dict[str, t.Any], did: dict[str, t.Any] | FleetError, started: dt.datetime) -> list[str]:
    """Instances at each step, from the timeline, for a release that began in this run."""
    fresh = said["lines"][0].startswith("would go from") or said["lines"][0].startswith("would start by")
    if isinstance(did, FleetError) or did["outcome"] != "succeeded" or not fresh:
        return []
    plan, stable = said["plan"], fleet.ledger.stable
    planned = [step["instances"] for step in plan["steps"] if not step["skipped"]]
    # A first release fills the group without checkpoints: it is judged for the window and is done.
    first = said["lines"][0].startswith("would go from nothing")
    seconds = TIMING["window"] if first else plan["checkpoint_delay"] - 5
    took = held(fleet, stable.version if stable else "", seconds, started.isoformat())
    return [] if took == planned else [f"said {planned} instances step by step, there were {took}"]


def held(fleet: Fleet, version: str, seconds: float, since: str = "") -> list[int]:
    """Numbers of instances in service with that version that lasted as long as a step, from the timeline."""
    serving: set[str] = set()
    counts: list[tuple[str, int]] = []
    for entry in fleet.harness.world.timeline.entries:
        if entry["instance"] and entry["image_version"] == version and entry["time"] >= since:
            change = serving.add if entry["lifecycle"] == "InService" else serving.discard
            change(entry["instance"])
            counts.append((entry["time"], len(serving)))
    counts.append((fleet.now().isoformat(), -1))
    spans = [(count, when, later) for (when, count), (later, _unused) in itertools.pairwise(counts)]
    return [count for count, when, later in spans if count and _seconds(when, later) >= seconds]


def _seconds(earlier: str, later: str) -> float:
    return (dt.datetime.fromisoformat(later) - dt.datetime.fromisoformat(earlier)).total_seconds()
