# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What one tick is told (options), what it sees (observation) and what it may do (actions). Values only."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.comparisons import Limits
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.verdict import Verdict
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.states import outcome_of
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger, Release
from ansible_collections.diffusion.fleet.plugins.module_utils._release.plan import Plan
from ansible_collections.diffusion.fleet.plugins.module_utils._release.replay import Failures

if t.TYPE_CHECKING:
    from ansible_collections.diffusion.fleet.plugins.module_utils._release.adoption import Adoption

LIVE = frozenset({"Pending", "InProgress", "Baking"})
"""A refresh that can still be rolled back (RollbackInstanceRefresh API reference)."""
RETURNING = frozenset({"Cancelling", "RollbackInProgress"})
"""A refresh that is on its way out by itself."""
IN_SERVICE = "InService"
LEAVING = ("Terminating", "Terminated", "Detaching", "Detached")
SCALING = "AlarmNotification"
"""The process of a group that carries out what alarms ask for, up and down."""
STANDBY = ("Standby", "EnteringStandby")


class Goal(enum.StrEnum):
    """What the run is asked for."""

    DEPLOYED = "deployed"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"

    @property
    def forward(self) -> bool:
        """Whether the run wants the open release to succeed."""
        return self is not Goal.ROLLED_BACK


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds, all of them settings; the defaults suit a fleet on AWS."""

    poll: int = 10
    lock_renew: int = 15
    lock_expiry: int = 60
    lock_watch: int = 20
    """How long a lock is watched before it may be taken over, however old it looks: clocks differ."""
    window: int = 300
    """How long jobs are collected at a step before the first verdict."""
    inconclusive_limit: int = 900
    """How long after the window a step may stay without a verdict."""
    gate_period: int = 60
    gate_periods: int = 3
    alarms_ok: int = 300
    """How long to wait for the release alarms to be OK before the start."""
    replacement: int = 240
    """How long the replacement of one batch is expected to take; only for the plan."""
    lookback: int = 3600
    """How far back the stable release's jobs are read."""
    replay_lookback: int = 86400
    """How far back what a release has failed is replayed when it is left by hand; an open one's is replayed whole."""

    def checkpoint_delay(self, bakes: t.Iterable[int | None] = ()) -> int:
        """Long enough for a verdict at the longest step, and for the gate to notice that nobody judges."""
        window = max((self.window if bake is None else bake for bake in bakes), default=self.window)
        # Polls until a checkpoint is noticed, until its time is seen to be over, until AWS is told; and one to spare.
        judged = window + self.inconclusive_limit + 4 * self.poll
        # CloudWatch looks back somewhat further than the periods it evaluates: it sees the last feeding for longer.
        silence = self.gate_periods + min(2, self.gate_periods - 1)
        return max(judged, self.gate_period * (silence + 1) + self.poll)


@dataclasses.dataclass(frozen=True)
class Smoke:
    """Requests of our own, with fixed seeds, for a release that sees too few jobs."""

    count: int = 4
    payload: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    golden: t.Literal["off", "warn", "fail"] = "warn"
    """What becomes of a candidate whose smoke pictures are far from stable's."""
    golden_limit: float = 16.0
    """Mean absolute difference, of 255, that is far."""


@dataclasses.dataclass(frozen=True)
class Options:
    """One run's wishes."""

    deployment_id: str
    goal: Goal
    run: str
    """Nonce of the run: a lock that bears it is its own."""
    owner: str
    host: str
    version: str | None = None
    percentage: str | None = None
    steps: tuple[t.Any, ...] = ()
    """As the user writes them: numbers, or objects with what differs at a step."""
    to_version: str | None = None
    full: bool = False
    """For a promotion: all the remaining steps at once."""
    hold_scale_out: bool = False
    """No scaling by alarms until the first step has passed."""
    retry_rejected: bool = False
    reason: str | None = None
    initial_capacity: int = 1
    surge: bool = True
    on_inconclusive: str = "fail"
    """What to do with a step that has too few jobs when its time is over: fail, pass or pause."""
    alarms: tuple[str, ...] = ()
    """Names of the user's own alarms that stop a release."""
    timing: Timing = dataclasses.field(default_factory=Timing)
    limits: Limits = dataclasses.field(default_factory=Limits)
    smoke: Smoke = dataclasses.field(default_factory=Smoke)
    replay: bool = True
    """Whether a rollback sends again what the rejected release failed."""
    signature_key: str | None = None
    """File with the public key that must verify a signature of the image; None where none is asked for."""

    @property
    def by(self) -> str:
        """Who runs it, as the ledger and the history say it."""
        return f"{self.owner}@{self.host}"


@dataclasses.dataclass(frozen=True)
class Context:
    """What a run remembers from tick to tick; a new run starts with an empty one."""

    epoch: int | None = None
    """Epoch of the lock this run holds."""
    held_since: str | None = None
    """Since when this run has held it."""
    taken_from: str | None = None
    """Whose lock had expired when this run took it."""
    unheard: str = ""
    """Why an event could not be published; the first time counts."""
    watched_epoch: int | None = None
    watched_modified: str | None = None
    watched_since: str | None = None
    renewed_at: str | None = None
    changed: bool = False
    prepared: bool = False
    """Whether this run has seen to the smoke queue and the release alarms."""
    promoted: bool = False
    """Whether this run has promoted what it was asked to: from then on it judges like any other."""
    outcome: str | None = None
    reason: str | None = None
    back_starts: int = 0
    """How many refreshes back to stable this run has started."""
    refreshed_again: int = 0
    """How many refreshes this run has started because one had left something."""
    to_end: int | None = None
    """How many instances were to be ended when this run ended its first."""
    ended: int = 0
    """How many it has ended."""
    native_refused: bool = False
    replay_trouble: str = ""
    """Why this run replays nothing more: it never keeps a rollback from its end."""
    gate_fed_at: str | None = None
    alarms_since: str | None = None
    """Since when this run has been waiting for the release alarms."""
    failed: tuple[str, ...] = ()
    """Instances of the group that failed while this run looked on."""
    settled: str | None = None
    """Scaling activities that began before are over, and counted in ``failed``."""


@dataclasses.dataclass(frozen=True)
class Lock:
    """The newest lock there is."""

    epoch: int
    run: str
    owner: str
    host: str
    modified: dt.datetime

    @property
    def by(self) -> str:
        """Who holds it."""
        return f"{self.owner}@{self.host}"


@dataclasses.dataclass(frozen=True)
class Member:
    """An instance of the group."""

    instance_id: str
    lifecycle: str
    template_version: str | None
    """What it was launched from; of another template than the group's own, ``name:version``."""

    @property
    def in_service(self) -> bool:
        """Whether it serves."""
        return self.lifecycle == IN_SERVICE

    @property
    def counts(self) -> bool:
        """Whether it serves or will: neither on its way out nor set aside by somebody."""
        return not self.lifecycle.startswith(LEAVING + STANDBY)


@dataclasses.dataclass(frozen=True)
class Group:
    """The Auto Scaling group."""

    name: str
    arn: str
    desired: int
    maximum: int
    template_version: str | None
    """The version the group has saved; of another template than the group's own, ``name:version``."""
    members: tuple[Member, ...] = ()
    mixed_policy: t.Mapping[str, t.Any] | None = None
    suspended: frozenset[str] = frozenset()
    """Scaling processes that are suspended."""
    template_name: str | None = None
    """The launch template the group has saved; None for a launch configuration."""
    maintenance_maximum: int = 100
    """MaxHealthyPercentage of the group's own maintenance policy."""

    @property
    def account_id(self) -> str:
        """The account, as the group's ARN has it."""
        return self.arn.split(":")[4]

    @property
    def region(self) -> str:
        """The region, as the group's ARN has it."""
        return self.arn.split(":")[3]

    @property
    def partition(self) -> str:
        """The partition, as the group's ARN has it."""
        return self.arn.split(":")[1]

    def serving(self, template_version: str | None) -> int:
        """How many instances in service were launched from that version."""
        return sum(member.in_service and member.template_version == template_version for member in self.members)

    def strangers(self, template_version: str | None) -> int:
        """How many instances, neither leaving nor in standby, were launched from any other version."""
        return sum(member.counts and member.template_version != template_version for member in self.members)

    @property
    def in_service(self) -> int:
        """How many instances serve."""
        return sum(member.in_service for member in self.members)


@dataclasses.dataclass(frozen=True)
class Refresh:
    """The newest instance refresh of the group."""

    refresh_id: str
    status: str
    template_version: str | None
    """The version it replaces towards; None when it names none."""
    percentage: int
    reason: str
    started_at: dt.datetime | None
    """None while AWS has not begun it."""
    skip_matching: bool = False

    @property
    def active(self) -> bool:
        """Whether AWS would refuse to start another; a status of the future is no end."""
        return outcome_of({"Status": self.status}) == "in_progress"

    @property
    def unknown(self) -> bool:
        """Whether it is under way in a way that AWS has added since: it is waited for."""
        return self.active and self.status not in LIVE | RETURNING


@dataclasses.dataclass(frozen=True)
class Target:
    """What the run wants to be stable, found in the registry or in the history."""

    release: Release
    template: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    """Launch template data, rendered; empty for a release of the past, whose template version exists."""


@dataclasses.dataclass(frozen=True)
class Observation:
    """Everything that a decision may depend on."""

    now: dt.datetime
    options: Options
    context: Context
    ledger: Ledger
    group: Group
    projections: t.Mapping[str, str]
    adoption: Adoption | None = None
    """The fleet has no ledger: ``ledger`` was inferred, and the run that takes the lock writes it."""
    lock: Lock | None = None
    refresh: Refresh | None = None
    plan: Plan | None = None
    """Of the open release, or of the one that would be opened."""
    target: Target | None = None
    before: Release | None = None
    """For a rollback with nothing open: the stable release before the target."""
    refusal: FleetError | None = None
    """Why the run cannot begin, found while looking for the target."""
    remake: Target | None = None
    """The stable release of an open one, where its template version was deleted and can be made again."""
    alarm_states: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    failed_launches: int = 0
    """Launches abandoned or instances found unhealthy since the release began."""
    verdict: Verdict | None = None
    """On the step that waits for one."""
    failures: Failures = dataclasses.field(default_factory=Failures)
    """What the rejected release failed, once everything runs the stable one."""

    @property
    def mine(self) -> bool:
        """Whether this run holds the lock: its own record, of an epoch that nobody has overtaken."""
        lock, epoch = self.lock, self.context.epoch
        if lock is None or lock.run != self.options.run or lock.epoch < self.ledger.epoch:
            return False
        return epoch is None or epoch == lock.epoch

    @property
    def held_epoch(self) -> int:
        """Epoch of the lock that this run holds."""
        return self.lock.epoch if self.lock else 0


class Kind(enum.StrEnum):
    """The actions."""

    WAIT = "wait"
    DONE = "done"
    REFUSE = "refuse"
    WATCH = "watch"
    TAKE_LOCK = "take_lock"
    CLAIM = "claim"
    REPAIR = "repair"
    BEGIN = "begin"
    LEAVE = "leave"
    PREPARE = "prepare"
    ADOPT_REFRESH = "adopt_refresh"
    START_REFRESH = "start_refresh"
    COLD_START = "cold_start"
    WAKE = "wake"
    HOLD_SCALING = "hold_scaling"
    FREE_SCALING = "free_scaling"
    REACH_STEP = "reach_step"
    PASS_STEP = "pass_step"
    PAUSE = "pause"
    REST = "rest"
    RESUME = "resume"
    REMAKE_TEMPLATE = "remake_template"
    RETREAT = "retreat"
    ROLL_BACK_REFRESH = "roll_back_refresh"
    CANCEL_REFRESH = "cancel_refresh"
    START_BACK = "start_back"
    RESET_GROUP = "reset_group"
    SET_TEMPLATE = "set_template"
    TERMINATE = "terminate"
    REPLAY = "replay"
    SUCCEED = "succeed"
    RETURN = "return"
    REPORT = "report"


@dataclasses.dataclass(frozen=True)
class Action:
    """The one thing to do now, and the sentence that says so."""

    kind: Kind
    line: str
    reason: str = ""
    failure: FleetError | None = None
    skip_matching: bool = False
    step: int = 0
    pause: str = ""
    """Why the release pauses; empty where it does not."""
    by_hand: bool = False
    """Whether a person, not the judgement, passed the step."""
    instances: tuple[str, ...] = ()
