# SPDX-License-Identifier: Apache-2.0
"""One local AWS: its clock, lock, runner, faults and the state of the services that moto does not keep."""

from __future__ import annotations

import datetime as dt
import secrets
import threading
import typing as t

from local_aws.autoscaling import service
from local_aws.autoscaling.model import Group, Member
from local_aws.calls import Calls
from local_aws.clock import Clock
from local_aws.faults import Faults
from local_aws.runner.base import Runner
from local_aws.settings import Settings
from local_aws.timeline import Timeline

AlarmState = t.Literal["OK", "ALARM", "INSUFFICIENT_DATA"]


class World:
    """Everything that a server and a harness share; `tick` advances it."""

    def __init__(
        self, clock: Clock, runner: Runner, settings: Settings | None = None, timeline: Timeline | None = None
    ) -> None:
        self.clock = clock
        self.runner = runner
        self.settings = settings or Settings()
        self.timeline = timeline or Timeline()
        self.lock = threading.RLock()
        self.faults = Faults()
        self.calls = Calls()
        self.token_secret = secrets.token_bytes(32)
        """What signs the registry's tokens."""
        self.groups: dict[tuple[str, str, str], Group] = {}
        self.tickers: list[t.Callable[[], None]] = []
        """Further services to advance in each tick, after Auto Scaling."""
        self.alarm_source: t.Callable[[str, str, str], AlarmState | None] = moto_alarm_state

    def now(self) -> dt.datetime:
        """The time that clients see."""
        return self.clock.now()

    def tick(self) -> None:
        """Advance everything to the clock's time; calling it again at the same time changes nothing."""
        with self.lock:
            service.tick(self)
            for ticker in list(self.tickers):
                ticker()

    def reset(self) -> None:
        """Switch every instance off and forget all groups, faults and the timeline in memory."""
        with self.lock:
            for group in list(self.groups.values()):
                service.discard(self, group)
            self.groups.clear()
            self.faults.clear()
            self.calls.clear()
            self.timeline.clear()

    def alarm_state(self, account: str, region: str, name: str) -> AlarmState | None:
        """The state of a CloudWatch alarm, None when there is no such alarm."""
        return self.alarm_source(account, region, name)

    def execute_policy(self, arn: str, metric_value: float | None, breach_threshold: float | None) -> None:
        """Do what an alarm's action on a scaling policy does; unknown policies are ignored, as a deleted one is."""
        with self.lock:
            service.execute_policy_by_arn(self, arn, metric_value, breach_threshold)

    def member(self, instance_id: str) -> tuple[Group, Member] | None:
        """The group and the membership of an instance."""
        for group in self.groups.values():
            if instance_id in group.members:
                return group, group.members[instance_id]
        return None

    def target_lifecycle_state(self, instance_id: str) -> str | None:
        """What instance metadata shows as autoscaling/target-lifecycle-state; None where it answers 404."""
        found = self.member(instance_id)
        return service.target_lifecycle_state(self, found[1]) if found else None

    def group_metrics(self, account: str, region: str, name: str) -> dict[str, int] | None:
        """The AWS/AutoScaling metrics of a group now; None unless their collection is enabled."""
        group = self.groups.get((account, region, name))
        return service.metrics(group) if group else None


def moto_alarm_state(account: str, region: str, name: str) -> AlarmState | None:
    """The state as moto's CloudWatch stores it."""
    from moto.cloudwatch.models import cloudwatch_backends

    alarm = cloudwatch_backends[account][region].alarms.get(name)
    return t.cast("AlarmState", alarm.state_value) if alarm else None
