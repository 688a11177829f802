# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Doing what was decided: each action is a call or two and its record, and each can be done again."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import is_passing
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import (
    AccessDenied,
    AwsError,
    Conflict,
    FleetError,
    NotFound,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh import api as refreshes
from ansible_collections.diffusion.fleet.plugins.module_utils._release import (
    alarms,
    events,
    fleet,
    history,
    replay,
    smoke,
    targets,
    templates,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release import (
    ledger as ledgers,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.adoption import Adoption
from ansible_collections.diffusion.fleet.plugins.module_utils._release.advance import started_for_us
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import (
    Ledger,
    Release,
    Status,
    release_fields,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.observe import plan_for, release_alarms
from ansible_collections.diffusion.fleet.plugins.module_utils._release.pause_actions import PauseActions
from ansible_collections.diffusion.fleet.plugins.module_utils._release.plan import Plan, onward
from ansible_collections.diffusion.fleet.plugins.module_utils._release.retreat import MAX_BACK_STARTS, after_ending
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import (
    Action,
    Context,
    Kind,
    Lock,
    Observation,
)

BOOTSTRAP_VERSION = "1"
"""The template version that provision.yml creates: its instances run no worker."""


class Actions(PauseActions):
    """Carries out actions for one deployment; every method answers the run's new context."""

    def apply(self, seen: Observation, action: Action) -> Context:
        """Carry out one action; one that changes the deployment proves first that the lock is still held.

        Raises: LockLost and the errors of the calls.
        """
        method: t.Callable[[Observation, Action], Context] = getattr(self, f"_{action.kind.value}")
        if action.kind in QUIET:
            return method(seen, action)
        self._guard.check(seen)
        # A run that finds a release paused and leaves it so has changed nothing, whatever it tidies up.
        changed = seen.context.changed or action.kind is not Kind.REST
        context = dataclasses.replace(method(seen, action), changed=changed)
        said = events.of_action(seen, action)
        return self._tell(seen, said, context) if said else context

    # ------------------------------------------------------------ waiting and ending

    def _wait(self, seen: Observation, action: Action) -> Context:
        return seen.context

    def _watch(self, seen: Observation, action: Action) -> Context:
        lock = t.cast(Lock, seen.lock)
        if seen.context.watched_epoch == lock.epoch:
            return seen.context
        return dataclasses.replace(
            seen.context,
            watched_epoch=lock.epoch,
            watched_modified=lock.modified.isoformat(),
            watched_since=seen.now.isoformat(),
        )

    def _done(self, seen: Observation, action: Action) -> Context:
        self._guard.release(seen)
        return seen.context

    def _refuse(self, seen: Observation, action: Action) -> Context:
        self._guard.release(seen)
        return seen.context

    # ------------------------------------------------------------ lock and parameters

    def _take_lock(self, seen: Observation, action: Action) -> Context:
        return self._guard.take(seen)

    def _claim(self, seen: Observation, action: Action) -> Context:
        if seen.adoption is not None:
            return self._adopt(seen, seen.adoption)
        context = self._guard.claim(seen)
        at_rest = seen.ledger.paused is not None and context.taken_from is None
        if seen.ledger.is_open and not at_rest:
            return self._tell(seen, events.of_takeover(seen), context)
        return self._tell_the_end(seen, context) if context.taken_from else context

    def _adopt(self, seen: Observation, adoption: Adoption) -> Context:
        """Pin the group, write the history, then the ledger: until it is there, the next run infers it again."""
        self._guard.check(seen)
        if adoption.pin is not None:
            fleet.update_group(self._aws.client("autoscaling"), self._names, seen.group, adoption.pin)
        record = adoption.record(self._names, seen.options.by, seen.now.isoformat())
        history.write(self._aws.client("s3"), self._bucket(seen), record)
        return dataclasses.replace(self._guard.claim(seen), changed=True)

    def _tell_the_end(self, seen: Observation, context: Context) -> Context:
        """The run whose lock was left may have closed its release without saying so."""
        try:
            record = history.read(self._aws.client("s3"), self._bucket(seen), seen.ledger.sequence)
        except FleetError:
            return context
        return self._tell(seen, events.of_record(record), context) if record else context

    def _repair(self, seen: Observation, action: Action) -> Context:
        self._project(seen.ledger, seen)
        return seen.context

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
            epoch=seen.held_epoch,
            at=seen.now.isoformat(),
            by=seen.options.by,
            template_version=number,
        )
        self._open_record(seen, opened, "deploy", plan_for(seen.options, seen.ledger, seen.group))
        self._record(seen, opened)
        return seen.context

    def _prepare(self, seen: Observation, action: Action) -> Context:
        candidate = t.cast(Release, seen.ledger.candidate)
        sqs, releases = self._aws.client("sqs"), [row for row in (candidate, seen.ledger.stable) if row]
        if not all(smoke.ensure_queue(sqs, self._names, release.release_id) for release in releases):
            return seen.context  # a name deleted a moment ago: asked again at the next look
        if seen.ledger.stable is not None and seen.options.smoke.golden != "off":
            # Stable's pictures are drawn before its instances go: at a step of 100 % there are none left.
            self._send_smoke(seen, seen.ledger.stable, 0)
        dimensions = {
            "DeploymentId": self._names.deployment_id,
            "ImageVersion": candidate.version,
            "ReleaseId": candidate.release_id,
        }
        alarms.ensure_alarms(self._aws.client("cloudwatch"), self._names, seen.options.timing, dimensions)
        now = seen.now.isoformat()
        return dataclasses.replace(seen.context, prepared=True, gate_fed_at=now, alarms_since=now)

    def _adopt_refresh(self, seen: Observation, action: Action) -> Context:
        self._record(seen, dataclasses.replace(seen.ledger, refresh_id=t.cast(t.Any, seen.refresh).refresh_id))
        return seen.context

    def _start_refresh(self, seen: Observation, action: Action) -> Context:
        template = t.cast(str, t.cast(Release, seen.ledger.candidate).template_version)
        request = fleet.forward_request(
            self._names,
            seen.group,
            template,
            self._onward(seen),
            release_alarms(self._names, seen.options),
            action.skip_matching,
        )
        try:
            refresh_id = refreshes.start_refresh(self._aws.client("autoscaling"), request)
        except Conflict:
            return seen.context  # one runs already, ours if a reply was lost: the next look tells
        except AwsError as error:
            return self._impossible(seen, error)
        self._record(seen, dataclasses.replace(seen.ledger, refresh_id=refresh_id))
        again = seen.context.refreshed_again + (not action.skip_matching)
        return dataclasses.replace(seen.context, refreshed_again=again)

    def _onward(self, seen: Observation) -> Plan:
        """What is left of the plan, for the group as it is now: all of it unless the release was paused."""
        options = seen.options
        size, seconds = seen.group.desired, options.timing.replacement
        return onward(t.cast(Plan, seen.plan), seen.ledger.step, size, replacement_seconds=seconds, surge=options.surge)

    def _cold_start(self, seen: Observation, action: Action) -> Context:
        template = t.cast(str, t.cast(Release, seen.ledger.candidate).template_version)
        size = t.cast(Plan, seen.plan).size
        autoscaling = self._aws.client("autoscaling")
        try:
            fleet.update_group(autoscaling, self._names, seen.group, template, DesiredCapacity=size)
        except AwsError as error:
            return self._impossible(seen, error)
        return seen.context

    def _wake(self, seen: Observation, action: Action) -> Context:
        fleet.wake_group(self._aws.client("autoscaling"), self._names, t.cast(Plan, seen.plan).size)
        return seen.context

    def _impossible(self, seen: Observation, error: AwsError) -> Context:
        """What AWS will never accept ends the release; anything else is reported as it is."""
        if error.details.get("code") != "ValidationError":
            raise error
        return self.apply(seen, Action(Kind.RETREAT, error.message, reason=error.message))

    def _send_smoke(self, seen: Observation, release: Release, step: int) -> None:
        bodies = smoke.smoke_bodies(seen.options.smoke, release.release_id, seen.ledger.sequence, step)
        smoke.send(self._aws.client("sqs"), self._names, release.release_id, bodies)

    def _reach_step(self, seen: Observation, action: Action) -> Context:
        ledger = seen.ledger
        for release in (ledger.candidate, ledger.stable):
            if release is not None:
                self._send_smoke(seen, release, action.step)
        self._record(seen, dataclasses.replace(ledger, step_reached_at=seen.now.isoformat()))
        return dataclasses.replace(seen.context, promoted=True)  # what this run has seen reached, it judges

    def _succeed(self, seen: Observation, action: Action) -> Context:
        ended = ledgers.succeeded(seen.ledger, at=seen.now.isoformat())
        return self._end(seen, ended, "succeeded", action.reason)

    # ------------------------------------------------------------ back

    def _retreat(self, seen: Observation, action: Action) -> Context:
        self._amend(seen, action, reason=action.reason)
        going_back = ledgers.retreating(seen.ledger, epoch=seen.held_epoch, reason=action.reason, ran=_ran(seen))
        if seen.target is not None:
            going_back = ledgers.passing_over(going_back, seen.target.release, seen.before)
        self._record(seen, going_back)
        return dataclasses.replace(seen.context, back_starts=0)

    def _leave(self, seen: Observation, action: Action) -> Context:
        left = ledgers.left_by_hand(
            seen.ledger,
            t.cast(t.Any, seen.target).release,
            seen.before,
            epoch=seen.held_epoch,
            at=seen.now.isoformat(),
            by=seen.options.by,
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
        request = fleet.back_request(self._names, seen.group, template, action.skip_matching, seen.options.surge)
        try:
            refreshes.start_refresh(self._aws.client("autoscaling"), request)
        except Conflict:
            return seen.context
        except AwsError as error:
            if error.details.get("code") != "ValidationError":
                raise
            self._check_way_back(seen)
            return dataclasses.replace(seen.context, back_starts=MAX_BACK_STARTS)  # a refresh will never do it
        return dataclasses.replace(seen.context, back_starts=seen.context.back_starts + 1)

    def _check_way_back(self, seen: Observation) -> None:
        """Where the template version is gone nothing would come for what is ended: all instances are left to serve.

        Raises: InvalidInput.
        """
        gone = targets.check_way_back(self._aws.client("ec2"), self._names, seen.ledger.stable)
        if gone is not None:
            raise gone

    def _set_template(self, seen: Observation, action: Action) -> Context:
        template = t.cast(str, t.cast(Release, seen.ledger.stable).template_version)
        fleet.update_group(self._aws.client("autoscaling"), self._names, seen.group, template)
        return seen.context

    def _terminate(self, seen: Observation, action: Action) -> Context:
        for instance_id in action.instances:
            fleet.terminate_instance(self._aws.client("autoscaling"), instance_id)
        return after_ending(seen, len(action.instances))

    def _reset_group(self, seen: Observation, action: Action) -> Context:
        stable = seen.ledger.stable
        template = t.cast(str, stable.template_version) if stable else BOOTSTRAP_VERSION
        capacity = {} if stable else {"MinSize": 0, "DesiredCapacity": 0}
        fleet.update_group(self._aws.client("autoscaling"), self._names, seen.group, template, **capacity)
        return seen.context

    def _replay(self, seen: Observation, action: Action) -> Context:
        """A bounded batch: sent, counted, forgotten. What a crash leaves unforgotten is sent and counted once more."""
        bucket, batch = self._bucket(seen), seen.failures.requests[: replay.BATCH]
        try:
            sent = replay.send_again(self._aws, self._names, bucket, batch)
            self._record(seen, dataclasses.replace(seen.ledger, replayed=seen.ledger.replayed + sent))
            replay.forget(self._aws.client("s3"), bucket, batch)
        except (AwsError, AccessDenied) as error:
            if is_passing(error):
                raise
            return dataclasses.replace(seen.context, replay_trouble=error.message)
        return seen.context

    def _return(self, seen: Observation, action: Action) -> Context:
        replayed = seen.ledger.replayed
        context = self._end(
            seen,
            ledgers.returned(seen.ledger, action.reason),
            "rolled_back",
            action.reason,
            {"replayed": replayed} if replayed else {},
        )
        untidy = _attempt(lambda: self._remove_copies(seen)) if replayed else ""
        return dataclasses.replace(context, reason=f"{context.reason}{untidy}")

    def _remove_copies(self, seen: Observation) -> None:
        start = replay.since(seen.ledger, seen.now, seen.options.timing.replay_lookback)
        left = [release.release_id for release in ledgers.left_behind(seen.ledger)]
        replay.remove_copies(self._aws.client("sqs"), self._names, left, start)

    # ------------------------------------------------------------ the end of both

    def _end(
        self, seen: Observation, ended: Ledger, outcome: str, reason: str, more: t.Mapping[str, t.Any] | None = None
    ) -> Context:
        """History, tidying up, ledger: as long as the release is open, whoever comes next does all of it again."""
        self._close_record(
            seen,
            candidate=release_fields(seen.ledger.candidate if outcome == "rolled_back" else ended.stable),
            outcome=outcome,
            reason=reason,
            finished_at=seen.now.isoformat(),
            **(more or {}),
        )
        untidy = self._tidy(ended)
        self._record(seen, ended)
        return dataclasses.replace(seen.context, outcome=outcome, reason=reason + untidy)

    def _tidy(self, ended: Ledger) -> str:
        """What no longer matters to the release: said when it does not work, never a failure."""
        kept = [release.release_id for release in (ended.stable, ended.previous) if release is not None]
        steps: tuple[t.Callable[[], None], ...] = (
            lambda: alarms.delete_alarms(self._aws.client("cloudwatch"), self._names),
            lambda: smoke.remove_others(self._aws.client("sqs"), self._names, kept),
        )
        return "".join(map(_attempt, steps))


def _attempt(step: t.Callable[[], None], again: bool = True) -> str:
    """A warning when it does not work, tried twice where the cause may have passed; all of it may be repeated."""
    try:
        step()
    except FleetError as error:
        return _attempt(step, again=False) if again and is_passing(error) else f" (warning: {error.message})"
    return ""


def _ran(seen: Observation) -> bool:
    """Whether the candidate had any chance to be judged."""
    candidate = seen.ledger.candidate
    if candidate is None or seen.ledger.status is Status.ROLLING_BACK:
        return candidate is not None
    ledger, group, template = seen.ledger, seen.group, candidate.template_version
    # Between a pause and the refresh that goes on there is no refresh: the steps and the instances still tell.
    ran = ledger.step > 0 or ledger.step_reached_at is not None or ledger.refresh_id is not None
    runs = group.template_version == template or any(member.template_version == template for member in group.members)
    return ran or runs or _refreshing(seen, template)


def _refreshing(seen: Observation, template: str | None) -> bool:
    """Whether a refresh to the candidate was started, by a run that did not come to record it."""
    refresh = seen.refresh
    if refresh is None or refresh.template_version != template:
        return False
    return refresh.active or started_for_us(seen, refresh)


QUIET = frozenset({Kind.WAIT, Kind.WATCH, Kind.DONE, Kind.REFUSE, Kind.TAKE_LOCK, Kind.CLAIM, Kind.REPORT})
"""Actions that leave the deployment as it was."""
REFUSED = frozenset({"IrreversibleInstanceRefresh", "IrreversibleInstanceRefreshFault", "ValidationError"})
"""Answers that mean: this refresh cannot go back natively, cancel it instead."""
