# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""One look at everything a decision depends on, but for the jobs, whose reading takes longer. Reads only."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws, is_passing
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError, InvalidInput, NotFound
from ansible_collections.diffusion.fleet.plugins.module_utils._release import (
    activities,
    alarms,
    fleet,
    groups,
    history,
    replay,
    signatures,
    store,
    takeover,
    targets,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import (
    Ledger,
    Release,
    Status,
    left_behind,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.plan import (
    Plan,
    make_plan,
    plan_from_dict,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.replay import Failures
from ansible_collections.diffusion.fleet.plugins.module_utils._release.retreat import is_settled
from ansible_collections.diffusion.fleet.plugins.module_utils._release.steps import wishes
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import (
    Context,
    Goal,
    Group,
    Observation,
    Options,
    Target,
)

HISTORY_READ = 20
"""Records looked through for something to return to."""
ACTIVITIES, MORE_ACTIVITIES = 100, 10
"""Scaling activities read with one call: all since a release began, and those since the last look."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the run is after, or why it cannot be had."""

    target: Target | None = None
    before: Release | None = None
    refusal: FleetError | None = None
    remake: Target | None = None


def observe(aws: Aws, names: Names, options: Options, context: Context, now: dt.datetime) -> Observation:
    """Read the account.

    Raises: NotFound when the deployment is not provisioned, and the errors of every call.
    """
    autoscaling = aws.client("autoscaling")
    # The refresh before the group: a refresh that ends between the two looks must not seem to have left strangers.
    refresh = fleet.read_newest_refresh(autoscaling, names.group)
    group = fleet.read_group(autoscaling, names)
    parameters = store.read_parameters(aws.client("ssm"), names)
    if parameters.host is None:
        raise not_provisioned(names, parameters)
    adoption = takeover.look(aws, names, group, parameters)
    ledger = adoption.ledger if adoption else parameters.ledger
    wanted = look_for(aws, names, options, ledger, group, parameters.host)
    seen = Observation(
        now=now,
        options=options,
        context=context,
        ledger=ledger,
        group=group,
        projections=parameters.projections,
        adoption=adoption,
        lock=parameters.lock,
        refresh=refresh,
        plan=_plan(aws, names, options, ledger, group),
        target=wanted.target,
        before=wanted.before,
        refusal=wanted.refusal,
        remake=wanted.remake,
    )
    if ledger.status is Status.ROLLING_BACK:
        return dataclasses.replace(seen, failures=_failures(aws, names, seen))
    return _look_closer(aws, names, seen) if ledger.status is Status.IN_PROGRESS else seen


def not_provisioned(names: Names, parameters: store.Parameters) -> NotFound:
    """What to run where the host settings are missing; a fleet of older scripts loses nothing by it."""
    found = f"Parameter {names.host} is missing: run provision.yml -e deployment_id={names.deployment_id}"
    if not takeover.needed(parameters):
        return NotFound(f"{found}.")
    version = parameters.projections["image-version"]
    return NotFound(
        f"{found}, then deploy.yml. The fleet runs {version} without a ledger: provision.yml leaves its instances and "
        "their template alone, and the first deploy.yml takes it over."
    )


def look_for(
    aws: Aws, names: Names, options: Options, ledger: Ledger, group: Group, host: t.Mapping[str, t.Any]
) -> Wanted:
    """The target of the run: an open release has its own, unless it is to be left for a release of the past."""
    if ledger.status is Status.ROLLING_BACK and options.goal.forward:
        return Wanted(remake=_remade(aws, names, ledger, group, host))
    if options.goal is Goal.PROMOTED or (ledger.is_open and options.goal is Goal.DEPLOYED):
        return Wanted()
    try:
        if options.goal is Goal.DEPLOYED:
            ecr = aws.client("ecr")
            target = targets.deploy_target(ecr, names, group, options, ledger, host)
            unsigned = _refuse_unsigned(ecr, names, options, target.release)
            return Wanted(target, refusal=unsigned or refuse_settings(aws, options, ledger, group))
        if ledger.is_open:
            return _look_past(aws, names, options, ledger, group, host)
        return _look_back(aws, names, options, ledger, group)
    except InvalidInput as error:
        return Wanted(refusal=error)


def _refuse_unsigned(ecr: t.Any, names: Names, options: Options, release: Release) -> InvalidInput | None:
    if options.signature_key is None:
        return None
    return signatures.refuse_unsigned(ecr, names, release, options.signature_key)


def refuse_settings(aws: Aws, options: Options, ledger: Ledger, group: Group) -> InvalidInput | None:
    """What would stop the release only after it has begun."""
    unfit = groups.refuse_deploy(group, ledger.stable_template, options.surge)
    if unfit is not None:
        return unfit
    if (ledger.stable is None or group.desired == 0) and options.initial_capacity > group.maximum:
        return InvalidInput(
            f"initial_capacity={options.initial_capacity} is more than the group's maximum of {group.maximum}: "
            "lower it, or raise fleet_max_size and run provision.yml."
        )
    states = alarms.alarm_states(aws.client("cloudwatch"), options.alarms) if options.alarms else {}
    wrong = [f"{name} ({state})" for name, state in states.items() if state in ("MISSING", "ALARM")]
    if wrong:
        return InvalidInput(
            f"alarms: {', '.join(wrong)} would stop the release at once: correct the list or the cause."
        )
    return None


def _look_back(aws: Aws, names: Names, options: Options, ledger: Ledger, group: Group) -> Wanted:
    if ledger.previous is None and options.to_version is None:
        return Wanted()
    past = read_past(aws, names, ledger, group)
    target, before = targets.rollback_target(ledger, past, options.to_version)
    refusal = targets.check_template(aws.client("ec2"), names, target, past, ledger.stable)
    # With a release open nothing is refused here: whatever can still be brought back is.
    refusal = refusal or (None if ledger.is_open else groups.refuse_any(group))
    return Wanted(Target(target) if target else None, before, refusal)


def _failures(aws: Aws, names: Names, seen: Observation) -> Failures:
    """What the rejected release failed, once the stable one can do it over. No trouble here keeps a rollback open."""
    left = [release.release_id for release in left_behind(seen.ledger)]
    if not seen.options.replay or not left or not is_settled(seen) or seen.context.replay_trouble:
        return Failures(trouble=seen.context.replay_trouble)
    start = replay.since(seen.ledger, seen.now, seen.options.timing.replay_lookback)
    try:
        bucket = names.bucket(seen.group.account_id)
        return Failures(replay.find(aws.client("s3"), bucket, left, start))
    except FleetError as error:
        if is_passing(error):
            raise
        return Failures(trouble=error.message)


def _remade(aws: Aws, names: Names, ledger: Ledger, group: Group, host: t.Mapping[str, t.Any]) -> Target | None:
    """The stable release, where its template version was deleted and can be made again."""
    ec2, stable = aws.client("ec2"), ledger.stable
    if stable is None or targets.template_exists(ec2, names, stable):
        return None
    return targets.remade(ec2, names, group, host, stable)


def _look_past(
    aws: Aws, names: Names, options: Options, ledger: Ledger, group: Group, host: t.Mapping[str, t.Any]
) -> Wanted:
    """With a release open: a release before the stable one where it is named, else whether stable can be had at all."""
    stable, candidate = ledger.stable, ledger.candidate
    if options.to_version is None or (stable is not None and options.to_version == stable.version):
        ec2 = aws.client("ec2")
        if stable is None or targets.template_exists(ec2, names, stable):
            return Wanted()
        remake = targets.remade(ec2, names, group, host, stable)
        if remake is not None:
            return Wanted(remake=remake)
        return Wanted(refusal=targets.check_way_back(ec2, names, stable, read_past(aws, names, ledger, group)))
    if candidate is not None and options.to_version == candidate.version:
        raise InvalidInput(
            f"to_version={options.to_version} is what is open itself; nothing was changed. Give it up with "
            "rollback.yml without to_version, or go on with promote.yml."
        )
    return _look_back(aws, names, options, ledger, group)


def read_past(aws: Aws, names: Names, ledger: Ledger, group: Group) -> list[tuple[int, Release]]:
    """What the history offers to return to, newest first."""
    records = history.newest(aws.client("s3"), names.bucket(group.account_id), HISTORY_READ)
    return targets.past_releases(records, ledger)


def _plan(aws: Aws, names: Names, options: Options, ledger: Ledger, group: Group) -> Plan:
    """The recorded plan of the open release, else the one that this run would follow."""
    if ledger.is_open:
        record = history.read(aws.client("s3"), names.bucket(group.account_id), ledger.sequence)
        if record and record.get("plan"):
            return plan_from_dict(record["plan"])
    return plan_for(options, ledger, group)


def plan_for(options: Options, ledger: Ledger, group: Group) -> Plan:
    """The plan of a release of this group; the first one fills it in a single step."""
    timing = options.timing
    asked = wishes(options.percentage, options.steps)
    delay = timing.checkpoint_delay(wish.bake for wish in asked)
    # The first release fills the group at once: what is asked of the last step holds, and any pause.
    whole = dataclasses.replace(asked[-1], pause=any(wish.pause for wish in asked))
    return make_plan(
        group.desired or options.initial_capacity,
        asked if ledger.stable else (whole,),
        checkpoint_delay=delay,
        bake_time=delay,
        replacement_seconds=timing.replacement,
        surge=options.surge,
    )


def _look_closer(aws: Aws, names: Names, seen: Observation) -> Observation:
    """What only an open release needs."""
    context = _follow_activities(aws.client("autoscaling"), names, seen)
    waiting = seen.ledger.refresh_id is None
    return dataclasses.replace(
        seen,
        context=context,
        failed_launches=_failed_launches(aws, seen.ledger, context.failed),
        alarm_states=alarms.alarm_states(aws.client("cloudwatch"), release_alarms(names, seen.options))
        if waiting
        else {},
    )


def _follow_activities(autoscaling: t.Any, names: Names, seen: Observation) -> Context:
    """With the instances that failed since the release began; what this run knows of them is not read again."""
    context, begun = seen.context, t.cast(str, seen.ledger.started_at)
    since = max(dt.datetime.fromisoformat(begun), dt.datetime.fromisoformat(context.settled or begun))
    rows = fleet.read_activities(autoscaling, names.group, since, MORE_ACTIVITIES if context.settled else ACTIVITIES)
    failed = activities.failed(rows) | set(context.failed)
    settled = activities.settled(rows, since).isoformat()
    return dataclasses.replace(context, failed=tuple(sorted(failed)), settled=settled)


def _failed_launches(aws: Aws, ledger: Ledger, failed: t.Sequence[str]) -> int:
    if not failed:
        return 0
    return len(fleet.of_release(aws.client("ec2"), failed, t.cast(Release, ledger.candidate).release_id))


def release_alarms(names: Names, options: Options) -> list[str]:
    """The alarms that stop a release: the gate, the candidate's failures and the user's own."""
    return [names.gate_alarm, names.failures_alarm, *options.alarms]
