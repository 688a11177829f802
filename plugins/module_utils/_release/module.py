# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""From the options of the ``release`` module to a run, and from its ticks to the module's result."""

from __future__ import annotations

import dataclasses
import getpass
import socket
import typing as t
import uuid

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws, Clients
from ansible_collections.diffusion.fleet.plugins.module_utils._aws.clock import Clock, SystemClock
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.pictures import FARTHEST, HAS_PILLOW
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.settings import (
    LIMITS_SPEC,
    make_limits,
    stated,
    suboptions,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.decide import foresee
from ansible_collections.diffusion.fleet.plugins.module_utils._release.follower import Follower
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Status
from ansible_collections.diffusion.fleet.plugins.module_utils._release.pausing import hurrying, whats_left
from ansible_collections.diffusion.fleet.plugins.module_utils._release.plan import surge_note
from ansible_collections.diffusion.fleet.plugins.module_utils._release.run import Run, Tick
from ansible_collections.diffusion.fleet.plugins.module_utils._release.steps import ON_INCONCLUSIVE, wishes
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import (
    Context,
    Goal,
    Kind,
    Options,
    Smoke,
    Timing,
)

SAYING = frozenset({Kind.DONE, Kind.REPORT, Kind.REST})
"""What a run does that has nothing to do but to say so."""
MENDING = frozenset({Kind.REPAIR, Kind.REMAKE_TEMPLATE})
"""What comes before that which was asked for."""
MAX_DELAY = 172800
HOUR = 3600
MAX_EVALUATED = (86400, 604800)
"""Seconds that all periods of an alarm may come to: of periods below an hour, of longer ones (PutMetricAlarm)."""
MAX_ALARMS = 8
"""AlarmSpecification takes 10 (StartInstanceRefresh API reference); two are the collection's own."""


ARGUMENT_SPEC: dict[str, t.Any] = {
    "deployment_id": {"type": "str", "required": True},
    "state": {"type": "str", "choices": [goal.value for goal in Goal], "default": "deployed"},
    "version": {"type": "str"},
    "percentage": {"type": "str"},
    "steps": {"type": "list", "elements": "raw", "default": []},
    "to_version": {"type": "str"},
    "full": {"type": "bool", "default": False},
    "hold_scale_out": {"type": "bool", "default": False},
    "retry_rejected": {"type": "bool", "default": False},
    "require_signature": {"type": "bool", "default": False},
    "signature_key": {"type": "path"},
    "reason": {"type": "str"},
    "initial_capacity": {"type": "int", "default": 1},
    "surge": {"type": "bool", "default": True},
    "replay": {"type": "bool", "default": True},
    "on_inconclusive": {"type": "str", "choices": list(ON_INCONCLUSIVE), "default": "fail"},
    "alarms": {"type": "list", "elements": "str", "default": []},
    "timing": suboptions(Timing, {}),
    "limits": LIMITS_SPEC,
    "smoke": suboptions(Smoke, {"payload": "dict", "golden": ["off", "warn", "fail"], "golden_limit": "float"}),
    "run": {"type": "str"},
    "owner": {"type": "str"},
    "context": {"type": "dict", "default": {}},
    "hold": {"type": "float", "default": 8},
    "progress": {"type": "path"},
}


def make_options(params: t.Mapping[str, t.Any]) -> Options:
    """The run's wishes, checked.

    Raises: InvalidInput.
    """
    _check(params)
    return Options(
        deployment_id=params["deployment_id"],
        goal=Goal(params["state"]),
        run=params["run"] or uuid.uuid4().hex,
        owner=params["owner"] or getpass.getuser(),
        host=socket.gethostname(),
        steps=tuple(params["steps"]),
        alarms=tuple(params["alarms"]),
        timing=Timing(**stated(params["timing"])),
        limits=make_limits(params["limits"]),
        smoke=_smoke(params["smoke"]),
        signature_key=params["signature_key"] if params["require_signature"] else None,
        **{name: params[name] for name in SAME_NAME},
    )


SAME_NAME = (
    "version",
    "percentage",
    "to_version",
    "full",
    "hold_scale_out",
    "retry_rejected",
    "reason",
    "initial_capacity",
    "surge",
    "replay",
    "on_inconclusive",
)


def _smoke(given: t.Mapping[str, t.Any] | None) -> Smoke:
    smoke = Smoke(**stated(given))
    if smoke.golden == "fail" and smoke.payload and not HAS_PILLOW:
        raise InvalidInput("smoke.golden=fail needs Pillow on the controller: pip install Pillow, or use golden=warn.")
    if not 0 <= smoke.golden_limit <= FARTHEST:
        raise InvalidInput(f"smoke.golden_limit={smoke.golden_limit:g} must be from 0 to {FARTHEST:g}.")
    return smoke


def _check(params: t.Mapping[str, t.Any]) -> None:
    if params["to_version"] and params["state"] != "rolled_back":
        raise InvalidInput(f"to_version={params['to_version']} needs state=rolled_back; to release it use version.")
    if params["version"] and params["state"] == "rolled_back":
        raise InvalidInput(
            f"version={params['version']} is no goal of state=rolled_back; to return to it use to_version."
        )
    if params["full"] and params["state"] != "promoted":
        raise InvalidInput("full=true needs state=promoted; to release in one step use percentage=100.")
    if params["require_signature"] and not params["signature_key"]:
        raise InvalidInput("require_signature=true needs signature_key: the file with the public key, in PEM.")
    if params["initial_capacity"] < 1:
        raise InvalidInput(f"initial_capacity={params['initial_capacity']} must be 1 or more.")
    if len(params["alarms"]) > MAX_ALARMS:
        raise InvalidInput(f"alarms: {len(params['alarms'])} given, at most {MAX_ALARMS} fit beside the release's own.")
    asked = wishes(params["percentage"], params["steps"])
    _check_timing(Timing(**stated(params["timing"])), [wish.bake for wish in asked])


def _check_timing(timing: Timing, bakes: t.Sequence[int | None]) -> None:
    for name, seconds in dataclasses.asdict(timing).items():
        if seconds < (0 if name in ("window", "inconclusive_limit", "lookback", "replay_lookback") else 1):
            raise InvalidInput(f"timing.{name}={seconds} is too small.")
    if timing.gate_period not in (10, 30) and timing.gate_period % 60:
        raise InvalidInput(f"timing.gate_period={timing.gate_period} must be 10, 30 or a multiple of 60.")
    most, evaluated = MAX_EVALUATED[timing.gate_period >= HOUR], timing.gate_period * timing.gate_periods
    if evaluated > most:
        raise InvalidInput(
            f"timing.gate_periods={timing.gate_periods} of gate_period={timing.gate_period} s come to {evaluated} s; "
            f"CloudWatch evaluates {most} s at most for such periods: lower one of them."
        )
    if timing.lock_renew >= timing.lock_expiry:
        raise InvalidInput(
            f"timing.lock_renew={timing.lock_renew} must be less than timing.lock_expiry={timing.lock_expiry}."
        )
    silence = min(timing.lock_expiry, timing.gate_period * timing.gate_periods)
    if 2 * timing.poll > silence:
        raise InvalidInput(
            f"timing.poll={timing.poll} must be at most half of lock_expiry and of gate_period * gate_periods "
            f"({silence} s): else the lock expires, or the gate fires, between two looks."
        )
    delay = timing.checkpoint_delay(bakes)
    if delay > MAX_DELAY:
        raise InvalidInput(
            f"timing: window (or the longest bake of steps) + inconclusive_limit + 4 * poll comes to {delay} s; an "
            f"instance refresh waits {MAX_DELAY} s at most (CheckpointDelay, BakeTime): shorten window, bake or "
            "inconclusive_limit."
        )


def run_release(
    aws: Aws, params: t.Mapping[str, t.Any], *, check_mode: bool, clock: Clock | None = None
) -> dict[str, t.Any]:
    """The module's result.

    Raises: FleetError; ``details`` then carries what is known of the run.
    """
    run = Run(Clients(aws), make_options(params), clock or SystemClock())
    context = Context(**params["context"])
    if check_mode:
        return _preview(run.preview())
    lines: list[str] = []
    tick, follower = None, Follower(params["progress"])
    for tick in run.ticks(context, params["hold"]):
        follower.check()
        if not lines or lines[-1] != tick.action.line:
            lines.append(tick.action.line)
            follower.tell(tick.action.line)
    return _result(t.cast(Tick, tick), lines)


def _preview(tick: Tick) -> dict[str, t.Any]:
    if tick.action.failure is not None:
        raise tick.action.failure
    idle = tick.action.kind in SAYING
    found = [tick.seen.adoption.line] if tick.seen.adoption else []
    lines = [tick.action.line] if idle else [*found, *_prediction(tick)]
    result = _result(tick, lines) | {"done": True, "changed": not idle}
    return result | {"diff": _diff(tick, lines, idle)}


def _prediction(tick: Tick) -> list[str]:
    if tick.action.kind is Kind.RETREAT and tick.seen.options.goal.forward:
        return [f"would give the open release up and go back to {_open_goal(tick)}: {tick.action.reason}"]
    if tick.action.kind not in MENDING:
        return [_intention(tick), *_plan_lines(tick)]
    remake = tick.seen.remake if tick.action.kind is Kind.REPAIR else None
    repaired = dataclasses.replace(tick.seen, projections=tick.seen.ledger.projections(), remake=remake)
    then = dataclasses.replace(tick, action=foresee(repaired))
    if then.action.failure is not None:
        raise then.action.failure
    rest = [then.action.line] if then.action.kind in SAYING else _prediction(then)
    # What a takeover does to the parameters stands in its own line.
    return (
        rest
        if tick.seen.adoption and tick.action.kind is Kind.REPAIR
        else [f"would start by {tick.action.line}", *rest]
    )


def _intention(tick: Tick) -> str:
    seen, ledger = tick.seen, tick.seen.ledger
    if ledger.is_open:
        version = ledger.candidate.version if ledger.candidate else "none"
        if seen.options.goal is Goal.ROLLED_BACK:
            return f"would give up the open release of {version} and return to {_open_goal(tick)}"
        if seen.options.goal is Goal.PROMOTED and ledger.status is Status.IN_PROGRESS:
            return _promotion(tick, version)
        return f"would take up the open release of {version} ({ledger.status.value}, {ledger.step} steps passed)"
    if seen.adoption and seen.target is None:
        return "would find nothing to roll back to"
    target = seen.target.release.version if seen.target else "none"
    return f"would go from {ledger.stable.version if ledger.stable else 'nothing'} to {target}"


def _promotion(tick: Tick, version: str) -> str:
    ledger = tick.seen.ledger
    if ledger.paused is not None:
        return f"would promote {version}, which is paused: {ledger.paused}"
    if hurrying(tick.seen) is not None:
        return f"would go on with all remaining steps of {version} at once"
    if ledger.step_reached_at is not None:
        return f"would pass step {ledger.step + 1} of {version} by hand and follow the release"
    return f"would follow the open release of {version} ({ledger.step} steps passed): no step waits for a verdict"


def _plan_lines(tick: Tick) -> list[str]:
    """The plan of the release, of a promotion what is left of it, and what may stand in its way."""
    seen = tick.seen
    if seen.plan is None or seen.options.goal is Goal.ROLLED_BACK:
        return []
    if seen.options.goal is Goal.PROMOTED and not seen.ledger.is_open:
        return []
    plan = whats_left(seen) if seen.options.goal is Goal.PROMOTED else seen.plan
    note = surge_note(plan, seen.group.maximum)
    return [*plan.lines(), *([note] if note else [])]


def _diff(tick: Tick, lines: list[str], idle: bool) -> dict[str, str]:
    ledger = tick.seen.ledger
    before = f"stable: {ledger.stable.version if ledger.stable else 'none'}\n"
    if idle:
        return {"before": before, "after": before}
    if _pauses_ahead(tick):
        return {"before": before, "after": before + "".join(f"{line}\n" for line in lines)}
    target = _open_goal(tick)
    return {"before": before, "after": f"stable: {target}\n" + "".join(f"{line}\n" for line in lines)}


def _pauses_ahead(tick: Tick) -> bool:
    """Whether the run would end at a pause, if all goes well, and leave stable what is stable."""
    seen = tick.seen
    if seen.options.goal is Goal.ROLLED_BACK or seen.plan is None or seen.ledger.status is Status.ROLLING_BACK:
        return False
    plan = whats_left(seen) if seen.options.goal is Goal.PROMOTED else seen.plan
    passed = seen.ledger.step if seen.options.goal is Goal.DEPLOYED and seen.ledger.is_open else 0
    return tick.action.kind is not Kind.RETREAT and any(step.pause for step in plan.judged[passed:])


def _open_goal(tick: Tick) -> str:
    if tick.seen.target:
        return tick.seen.target.release.version
    ledger = tick.seen.ledger
    forward = tick.seen.options.goal.forward and ledger.status is Status.IN_PROGRESS
    forward = forward and tick.action.kind is not Kind.RETREAT
    release = ledger.candidate if forward else ledger.stable
    return release.version if release else "none"


def _result(tick: Tick, lines: list[str]) -> dict[str, t.Any]:
    failure = tick.action.failure
    result: dict[str, t.Any] = {
        "done": tick.done,
        "changed": tick.context.changed,
        "outcome": tick.context.outcome or ("paused" if _left_paused(tick) else ""),
        "lines": lines,
        "plan": tick.seen.plan.as_dict() if tick.seen.plan else {},
        "ledger": tick.seen.ledger.as_dict(),
        "context": dataclasses.asdict(tick.context),
    }
    if failure is not None:
        raise type(failure)(failure.message, **{**result, **failure.details})
    return result


def _left_paused(tick: Tick) -> bool:
    """Whether the run found a paused release and left it so."""
    return tick.action.kind is Kind.DONE and tick.seen.ledger.paused is not None
