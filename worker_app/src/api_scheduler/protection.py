# SPDX-License-Identifier: Apache-2.0
"""Scale-in protection: on while the worker is busy, changed only when it turns busy or idle."""

from __future__ import annotations

import threading

from api_scheduler.aws import AwsFailure, Client, error_code
from api_scheduler.clock import Clock
from api_scheduler.logs import Log

_RETRY_SECONDS = 10.0


class Protection:
    """Sets the instance's protection in the background: no job waits for it, and a refusal stops nothing."""

    def __init__(self, autoscaling: Client, group: str, instance_id: str, clock: Clock, log: Log) -> None:
        self._autoscaling = autoscaling
        self._group = group
        self._instance_id = instance_id
        self._clock = clock
        self._log = log
        self._wanted = False
        self._applied: bool | None = None  # not known: the worker before this one may have left it on
        self._changed = threading.Event()

    def want(self, protected: bool) -> None:
        """Busy or idle from now on."""
        if protected != self._wanted:
            self._wanted = protected
            self._changed.set()

    def run(self, stopped: threading.Event) -> None:
        """Apply what is wanted, until stopped: the body of the protection thread."""
        while not stopped.is_set():
            self._clock.wait(self._changed, _RETRY_SECONDS)
            self._changed.clear()
            self.apply()

    def wake(self) -> None:
        """Let ``run`` see that it is to stop."""
        self._changed.set()

    def apply(self) -> None:
        """One call when what is wanted differs from what is set."""
        wanted = self._wanted
        if not self._group or wanted == self._applied:
            return
        try:
            self._autoscaling.set_instance_protection(
                AutoScalingGroupName=self._group, InstanceIds=[self._instance_id], ProtectedFromScaleIn=wanted
            )
            self._applied = wanted
        except AwsFailure as error:
            # Refused until the instance is in service. The termination hook drains it in any case.
            self._log.info("protection not set", protected=wanted, code=error_code(error))
