# SPDX-License-Identifier: Apache-2.0
"""The data of Auto Scaling: groups, members, hooks, policies, refreshes, activities."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

Params = dict[str, t.Any]
"""Parameters or documents in the shape of the AWS API."""


@dataclasses.dataclass(frozen=True)
class Template:
    """One numbered version of a launch template."""

    template_id: str
    name: str
    version: int
    data: t.Mapping[str, t.Any] = dataclasses.field(repr=False, compare=False, hash=False)

    def as_spec(self) -> Params:
        """The LaunchTemplate member of an instance."""
        return {"LaunchTemplateId": self.template_id, "LaunchTemplateName": self.name, "Version": str(self.version)}

    def same(self, other: Template) -> bool:
        """True for the same numbered version."""
        return (self.template_id, self.version) == (other.template_id, other.version)


@dataclasses.dataclass
class Hook:
    """A lifecycle hook."""

    name: str
    transition: str
    heartbeat: int = 3600
    default_result: str = "ABANDON"
    target_arn: str | None = None
    role_arn: str | None = None
    metadata: str | None = None

    @property
    def global_timeout(self) -> int:
        """No heartbeat extends a wait beyond 48 hours or 100 heartbeats."""
        return min(172800, 100 * self.heartbeat)


@dataclasses.dataclass
class Wait:
    """An instance that waits for one hook."""

    hook: Hook
    token: str
    started: dt.datetime
    deadline: dt.datetime
    result: str | None = None


@dataclasses.dataclass
class Activity:
    """A scaling activity."""

    activity_id: str
    description: str
    cause: str
    start: dt.datetime
    status: str = "InProgress"
    end: dt.datetime | None = None
    message: str | None = None
    progress: int = 0


@dataclasses.dataclass
class Member:
    """An instance in a group."""

    instance_id: str
    instance_type: str
    zone: str
    image_id: str
    template: Template
    launched_at: dt.datetime
    state: str = "Pending"
    health: str = "Healthy"
    protected: bool = False
    in_service_at: dt.datetime | None = None
    next_image: str | None = None
    """The AMI of the root volume that is to come."""
    waits: list[Wait] = dataclasses.field(default_factory=list)
    launch_activity: Activity | None = None
    end_activity: Activity | None = None
    refresh_id: str | None = None
    by_policy: bool = False
    spot: bool = False
    image_version: str | None = None
    release_id: str | None = None
    worker_gone: bool = False
    """Its host has given the worker up, and answers the lifecycle hooks in its place."""

    @property
    def pending(self) -> bool:
        """On the way in."""
        return self.state.startswith("Pending")

    @property
    def terminating(self) -> bool:
        """On the way out."""
        return self.state.startswith("Terminating")

    @property
    def replacing(self) -> bool:
        """Getting a new root volume."""
        return self.state.startswith("ReplacingRootVolume")

    @property
    def active(self) -> bool:
        """Counts towards the desired capacity."""
        return self.pending or self.replacing or self.state == "InService"

    def ready(self, now: dt.datetime, warmup: float) -> bool:
        """In service, healthy and warmed up."""
        if self.state != "InService" or self.health != "Healthy" or self.in_service_at is None:
            return False
        return now >= self.in_service_at + dt.timedelta(seconds=warmup)


@dataclasses.dataclass
class Policy:
    """A scaling policy, as it was put."""

    arn: str
    params: Params

    @property
    def kind(self) -> str:
        """SimpleScaling, StepScaling or TargetTrackingScaling."""
        return str(self.params.get("PolicyType", "SimpleScaling"))


@dataclasses.dataclass
class Refresh:
    """An instance refresh."""

    refresh_id: str
    strategy: str
    preferences: Params
    explicit_max: bool
    desired: Params | None
    start: dt.datetime
    status: str = "Pending"
    reason: str | None = None
    end: dt.datetime | None = None
    todo: set[str] = dataclasses.field(default_factory=set)
    skipped: set[str] = dataclasses.field(default_factory=set)
    ignored: set[str] = dataclasses.field(default_factory=set)
    percent: int = 0
    remaining: int = 0
    best: int = 0
    checkpoint_until: dt.datetime | None = None
    checkpoints_passed: int = 0
    bake_until: dt.datetime | None = None
    failing_since: dt.datetime | None = None
    failure: str | None = None
    blocked_since: dt.datetime | None = None
    rollback: Params | None = None
    wait_on_cancel: bool = True

    @property
    def active(self) -> bool:
        """True until it has ended."""
        return self.end is None

    @property
    def rolls_out(self) -> bool:
        """True while new instances get the desired configuration."""
        return self.status in ("Pending", "InProgress", "Baking")


@dataclasses.dataclass
class Group:
    """An Auto Scaling group."""

    account: str
    region: str
    name: str
    arn: str
    created: dt.datetime
    config: Params
    """Either {"LaunchTemplate": …} or {"MixedInstancesPolicy": …}: what AWS saves."""
    min_size: int
    max_size: int
    desired: int
    options: Params = dataclasses.field(default_factory=dict)
    """All other members as the API names them."""
    tags: dict[str, Params] = dataclasses.field(default_factory=dict)
    members: dict[str, Member] = dataclasses.field(default_factory=dict)
    hooks: dict[str, Hook] = dataclasses.field(default_factory=dict)
    policies: dict[str, Policy] = dataclasses.field(default_factory=dict)
    refreshes: list[Refresh] = dataclasses.field(default_factory=list)
    activities: list[Activity] = dataclasses.field(default_factory=list)
    suspended: dict[str, str] = dataclasses.field(default_factory=dict)
    metrics: list[str] = dataclasses.field(default_factory=list)
    notifications: list[Params] = dataclasses.field(default_factory=list)
    cooldown_until: dt.datetime | None = None
    launch_failures: int = 0
    retry_at: dt.datetime | None = None
    policy_launches: int = 0

    def active_members(self) -> list[Member]:
        """The members that count towards desired capacity, oldest first."""
        return [member for member in self.members.values() if member.active]

    def in_state(self, state: str) -> list[Member]:
        """The members in exactly that lifecycle state."""
        return [member for member in self.members.values() if member.state == state]

    @property
    def refresh(self) -> Refresh | None:
        """The active refresh."""
        return next((refresh for refresh in self.refreshes if refresh.active), None)

    @property
    def launch_config(self) -> Params:
        """What a launch uses now: the desired configuration while a refresh rolls it out."""
        refresh = self.refresh
        return refresh.desired if refresh and refresh.rolls_out and refresh.desired else self.config

    @property
    def warmup(self) -> int:
        """Default warm-up of a new instance for a refresh."""
        default = self.options.get("DefaultInstanceWarmup", -1)
        return int(default) if default is not None and default >= 0 else int(self.options["HealthCheckGracePeriod"])
