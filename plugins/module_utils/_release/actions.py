# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Doing what was decided: each action is a call or two and its record, and each can be done again."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import Conflict, FleetError, NotFound
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh import api as refreshes
from ansible_collections.diffusion.fleet.plugins.module_utils._release import (
    alarms,
    events,
    fleet,
    history,
    smoke,
    store,
    templates,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release import (
    ledger as ledgers,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger, Release
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.observe import plan_for, release_alarms
from ansible_collections.diffusion.fleet.plugins.module_utils._release.plan import Plan
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import (
    Action,
    Context,
    Kind,
    Lock,
    Observation,
)

BOOTSTRAP_VERSION = "1"
"""The template version that provision.yml creates: its instances run no worker."""


class Actions:
    """Carries out actions for one deployment; every method answers the run's new context."""

    def __init__(self, aws: Aws, names: Names) -> None:
        self._aws = aws
        self._names = names

    def apply(self, seen: Observation, action: Action) -> Context:
        """Carry out one action."""
        method: t.Callable[[Observation, Action], Context] = getattr(self, f"_{action.kind.value}")
        context = method(seen, action)
        return context if action.kind in QUIET else dataclasses.replace(context, changed=True)

    # ------------------------------------------------------------ waiting and ending

    def _wait(self, seen: Observation, action: Action) -> Context:
        since = seen.context.alarms_since
        if seen.alarm_states and since is None:
            return dataclasses.replace(seen.context, alarms_since=seen.now.isoformat())
        return seen.context

    def _watch(self, seen: Observation, action: Action) -> Context:
        lock = t.cast(t.Any, seen.lock)
        if seen.context.watched_epoch == lock.epoch:
            return seen.context
        return dataclasses.replace(seen.context, watched_epoch=lock.epoch, watched_modified=lock.modified.isoformat())

    def _done(self, seen: Observation, action: Action) -> Context:
        self.release_lock(seen)
        return seen.context

    def _refuse(self, seen: Observation, action: Action) -> Context:
        self.release_lock(seen)
        return seen.context

    # ------------------------------------------------------------ lock and parameters

    def _take_lock(self, seen: Observation, action: Action) -> Context:
        ssm, options = self._aws.client("ssm"), seen.options
        epoch = max(seen.ledger.epoch, seen.lock.epoch if seen.lock else 0) + 1
        record = store.lock_record(options.run, options.owner, options.host)
        if not store.create_lock(ssm, self._names, epoch, record):
            return seen.context  # the next look finds out who was first
        if seen.lock is not None:
            store.delete_locks(ssm, self._names, [seen.lock.epoch])
        return dataclasses.replace(seen.context, epoch=epoch)

    def release_lock(self, seen: Observation) -> None:
        """Give the lock back where this run holds it."""
        if seen.lock is not None and seen.lock.run == seen.options.run:
            store.delete_locks(self._aws.client("ssm"), self._names, [seen.lock.epoch])

    def keep_alive(self, seen: Observation, feed: bool) -> Context:
        """Renew the lock that this run holds, and feed the gate."""
        options, lock, context = seen.options, seen.lock, seen.context
        if lock is not None and lock.run == options.run and _stale(seen, lock):
            record = store.lock_record(options.run, options.owner, options.host)
            store.renew_lock(self._aws.client("ssm"), self._names, lock.epoch, record)
        if feed and _due(seen.now, context.gate_fed_at, options.timing.gate_period / 3):
            alarms.feed_gate(self._aws.client("cloudwatch"), self._names)
            return dataclasses.replace(context, gate_fed_at=seen.now.isoformat())
        return context

    def _repair(self, seen: Observation, action: Action) -> Context:
        self._project(seen.ledger, seen)
        return seen.context

    def _project(self, ledger: Ledger, seen: Observation) -> None:
        store.write_projections(self._aws.client("ssm"), self._names, ledger.projections(), seen.projections)

    def _record(self, seen: Observation, ledger: Ledger) -> None:
        """One transition: the ledger in one call, then its projections."""
        mine = dataclasses.replace(ledger, epoch=t.cast(int, seen.context.epoch))
        store.write_ledger(self._aws.client("ssm"), self._names, mine)
        self._project(mine, seen)

    # ------------------------------------------------------------ history

    def _bucket(self, seen: Observation) -> str:
        return self._names.bucket(seen.group.account_id)

    def _open_record(self, seen: Observation, ledger: Ledger, kind: str, plan: Plan | None) -> None:
        record = {
            "schema": 1,
            "sequence": ledger.sequence,
            "kind": kind,
            "deployment_id": self._names.deployment_id,
            "version": _version(ledger.candidate if kind == "deploy" else ledger.stable),
            "candidate": _release(ledger.candidate),
            "from": _release(seen.ledger.stable),
            "plan": plan.as_dict() if plan else None,
            "verdicts": [],
            "outcome": "open",
            "reason": ledger.reason,
            "started_at": ledger.started_at,
            "started_by": ledger.started_by,
            "finished_at": None,
        }
        history.write(self._aws.client("s3"), self._bucket(seen), record)

    def _amend(self, seen: Observation, step: int = 0, **changes: t.Any) -> None:
        """Add the verdict of a step, and whatever else is known now."""
        s3, bucket, sequence = self._aws.client("s3"), self._bucket(seen), seen.ledger.sequence
        record = history.read(s3, bucket, sequence) or {"sequence": sequence, "verdicts": []}
        if step and seen.verdict is not None and seen.plan is not None:
            earlier = [row for row in record["verdicts"] if row["step"] != step]
            planned = dataclasses.asdict(seen.plan.judged[step - 1])
            record["verdicts"] = [*earlier, {"step": step, **planned, **seen.verdict.as_dict()}]
        history.write(s3, bucket, {**record, **changes})

    # ------------------------------------------------------------ forward

    def _begin(self, seen: Observation, action: Action) -> Context:
        """Template version, history, ledger: in this order, so that an open ledger has everything it names."""
        target = t.cast(t.Any, seen.target)
        ec2, identity = self._aws.client("ec2"), target.release.release_id
        number = templates.find_version(ec2, self._names, identity)
        number = number or templates.create_version(ec2, self._names, identity, target.template)
        opened = ledgers.begun(
            seen.ledger,
            target.release,
            epoch=t.cast(int, seen.context.epoch),
            at=seen.now.isoformat(),
            by=f"{seen.options.owner}@{seen.options.host}",
            template_version=number,
        )
        self._open_record(seen, opened, "deploy", plan_for(seen.options, seen.group))
        self._record(seen, opened)
        return seen.context

    def _prepare(self, seen: Observation, action: Action) -> Context:
        candidate = t.cast(Release, seen.ledger.candidate)
        smoke.ensure_queue(self._aws.client("sqs"), self._names, candidate.release_id)
        dimensions = {
            "DeploymentId": self._names.deployment_id,
            "ImageVersion": candidate.version,
            "ReleaseId": candidate.release_id,
        }
        alarms.ensure_alarms(self._aws.client("cloudwatch"), self._names, seen.options.timing, dimensions)
        return dataclasses.replace(seen.context, prepared=True, gate_fed_at=seen.now.isoformat())

    def _adopt_refresh(self, seen: Observation, action: Action) -> Context:
        self._record(seen, dataclasses.replace(seen.ledger, refresh_id=t.cast(t.Any, seen.refresh).refresh_id))
        return seen.context

    def _start_refresh(self, seen: Observation, action: Action) -> Context:
        template = t.cast(str, t.cast(Release, seen.ledger.candidate).template_version)
        request = fleet.forward_request(
            self._names,
            seen.group,
            template,
            t.cast(Plan, seen.plan),
            release_alarms(self._names, seen.options),
            action.skip_matching,
        )
        try:
            refresh_id = refreshes.start_refresh(self._aws.client("autoscaling"), request)
        except Conflict:
            return seen.context  # one runs already, ours if a reply was lost: the next look tells
        self._record(seen, dataclasses.replace(seen.ledger, refresh_id=refresh_id))
        return seen.context

    def _cold_start(self, seen: Observation, action: Action) -> Context:
        template = t.cast(str, t.cast(Release, seen.ledger.candidate).template_version)
        size = t.cast(Plan, seen.plan).size
        fleet.update_group(self._aws.client("autoscaling"), self._names, seen.group, template, DesiredCapacity=size)
        return seen.context

    def _reach_step(self, seen: Observation, action: Action) -> Context:
        sqs, ledger = self._aws.client("sqs"), seen.ledger
        for release in (ledger.candidate, ledger.stable):
            if release is not None:
                bodies = smoke.smoke_bodies(seen.options.smoke, release.release_id, ledger.sequence, action.step)
                smoke.send(sqs, self._names, release.release_id, bodies)
        self._record(seen, dataclasses.replace(ledger, step_reached_at=seen.now.isoformat()))
        return seen.context

    def _pass_step(self, seen: Observation, action: Action) -> Context:
        self._amend(seen, action.step)
        self._record(seen, dataclasses.replace(seen.ledger, step=action.step, step_reached_at=None))
        return seen.context

    def _succeed(self, seen: Observation, action: Action) -> Context:
        ended = ledgers.succeeded(seen.ledger, at=seen.now.isoformat())
        return self._end(seen, ended, "succeeded", action.reason, "Release Succeeded")

    # ------------------------------------------------------------ back

    def _retreat(self, seen: Observation, action: Action) -> Context:
        self._amend(seen, action.step, reason=action.reason)
        going_back = ledgers.retreating(seen.ledger, epoch=t.cast(int, seen.context.epoch), reason=action.reason)
        self._record(seen, going_back)
        return dataclasses.replace(seen.context, back_starts=0)

    def _leave(self, seen: Observation, action: Action) -> Context:
        left = ledgers.left_by_hand(
            seen.ledger,
            t.cast(t.Any, seen.target).release,
            seen.before,
            epoch=t.cast(int, seen.context.epoch),
            at=seen.now.isoformat(),
            by=f"{seen.options.owner}@{seen.options.host}",
            reason=action.reason,
        )
        self._open_record(seen, left, "rollback", None)
        self._record(seen, left)
        return seen.context

    def _roll_back_refresh(self, seen: Observation, action: Action) -> Context:
        try:
            refreshes.rollback_refresh(self._aws.client("autoscaling"), self._names.group)
        except NotFound:
            return seen.context  # it ended meanwhile: the count decides what is left to do
        except FleetError as error:
            if error.details.get("code") in REFUSED:
                return dataclasses.replace(seen.context, native_refused=True)
            raise
        return seen.context

    def _cancel_refresh(self, seen: Observation, action: Action) -> Context:
        try:
            refreshes.cancel_refresh(self._aws.client("autoscaling"), self._names.group)
        except NotFound:
            return seen.context
        return seen.context

    def _start_back(self, seen: Observation, action: Action) -> Context:
        template = t.cast(str, t.cast(Release, seen.ledger.stable).template_version)
        request = fleet.back_request(self._names, seen.group, template, action.skip_matching)
        try:
            refreshes.start_refresh(self._aws.client("autoscaling"), request)
        except Conflict:
            return seen.context
        return dataclasses.replace(seen.context, back_starts=seen.context.back_starts + 1)

    def _reset_group(self, seen: Observation, action: Action) -> Context:
        stable = seen.ledger.stable
        template = t.cast(str, stable.template_version) if stable else BOOTSTRAP_VERSION
        capacity = {} if stable else {"MinSize": 0, "DesiredCapacity": 0}
        fleet.update_group(self._aws.client("autoscaling"), self._names, seen.group, template, **capacity)
        return seen.context

    def _return(self, seen: Observation, action: Action) -> Context:
        return self._end(seen, ledgers.returned(seen.ledger), "rolled_back", action.reason, "Release Rolled Back")

    # ------------------------------------------------------------ the end of both

    def _end(self, seen: Observation, ended: Ledger, outcome: str, reason: str, event: str) -> Context:
        """History, ledger, then what may be missing after a crash: the next release tidies it up as well."""
        self._amend(
            seen,
            candidate=_release(seen.ledger.candidate if outcome == "rolled_back" else ended.stable),
            outcome=outcome,
            reason=reason,
            finished_at=seen.now.isoformat(),
        )
        self._record(seen, ended)
        alarms.delete_alarms(self._aws.client("cloudwatch"), self._names)
        kept = [release.release_id for release in (ended.stable, ended.previous) if release is not None]
        smoke.remove_others(self._aws.client("sqs"), self._names, kept)
        topic = self._names.releases_topic(seen.group.region, seen.group.account_id, seen.group.partition)
        detail = {"deployment_id": self._names.deployment_id, "sequence": ended.sequence, "reason": reason}
        events.publish(self._aws.client("sns"), topic, event, {**detail, **ended.projections()})
        return dataclasses.replace(seen.context, outcome=outcome, reason=reason)


QUIET = frozenset({Kind.WAIT, Kind.WATCH, Kind.DONE, Kind.REFUSE, Kind.TAKE_LOCK})
"""Actions that leave the deployment as it was."""
REFUSED = frozenset({"IrreversibleInstanceRefresh", "IrreversibleInstanceRefreshFault", "ValidationError"})
"""Answers that mean: this refresh cannot go back natively, cancel it instead."""


def _stale(seen: Observation, lock: Lock) -> bool:
    timing = seen.options.timing
    return (seen.now - lock.modified).total_seconds() >= timing.lock_renew - timing.poll


def _due(now: dt.datetime, last: str | None, seconds: float) -> bool:
    return last is None or (now - dt.datetime.fromisoformat(last)).total_seconds() >= seconds


def _release(release: Release | None) -> dict[str, t.Any] | None:
    return dataclasses.asdict(release) if release else None


def _version(release: Release | None) -> str | None:
    return release.version if release else None
