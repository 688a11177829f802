# SPDX-License-Identifier: Apache-2.0
"""What hosts do, whatever they run their worker in: boot from user data, supervise, ask for health, ship the output."""

from __future__ import annotations

import abc
import contextlib
import logging
import queue
import signal
import threading
import time
import typing as t
from pathlib import Path

from local_aws import store
from local_aws.faults import Kind
from local_aws.runner import cloud_config, health
from local_aws.runner.base import HostEvent, Instance, Runner, RunnerError, Running
from local_aws.runner.shipping import Shipper
from local_aws.runner.unit import Unit

LOG = logging.getLogger(__name__)
SHIP_SECONDS = 0.5
_FAILED_BOOT: tuple[Kind, ...] = ("failed_boot",)


class Hosts(Runner, abc.ABC):
    """A runner of real workers; what they run in is its subclass' matter."""

    def __init__(self, state_dir: Path, health_seconds: float = health.EVERY_SECONDS) -> None:
        self.state_dir = state_dir
        self.health_seconds = health_seconds
        self._units: dict[str, Unit] = {}
        self._off: set[str] = set()
        """Instances that were powered off: their boot, if still under way, comes to nothing."""
        self._events: queue.SimpleQueue[HostEvent] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._boots: list[threading.Thread] = []
        (state_dir / "log").mkdir(parents=True, exist_ok=True)

    def watch(self) -> None:
        """Begin to supervise; the subclass calls it when it is ready."""
        threading.Thread(target=self._supervise, name="runner", daemon=True).start()
        threading.Thread(target=self._probe, name="health", daemon=True).start()

    @abc.abstractmethod
    def environment(self, env: t.Mapping[str, str], instance: Instance) -> dict[str, str]:
        """The whole environment of the worker."""

    @abc.abstractmethod
    def run(self, unit: Unit) -> Running:
        """Start the unit's worker, its output going to its log. Raises RunnerError."""

    def boot(self, instance: Instance) -> None:
        """Power on, in the background; an instance without a worker's user data just runs."""
        with self._lock:
            self._off.discard(instance.instance_id)
        boot = threading.Thread(target=self._boot, args=(instance,), name=f"boot-{instance.instance_id}", daemon=True)
        self._boots = [*(one for one in self._boots if one.is_alive()), boot]
        boot.start()

    def _boot(self, instance: Instance) -> None:
        try:
            env = cloud_config.worker_env(instance.user_data)
            if env is None:
                return
            if store.bound().faults.take(_FAILED_BOOT, text=instance.group, attributes={"group": instance.group}):
                raise RunnerError("fault: the host does not boot")
            if "SD_IMAGE" not in env:
                raise RunnerError(f"{cloud_config.WORKER_ENV} sets no SD_IMAGE: render the launch template again")
            image = self.pull(env["SD_IMAGE"], instance)
            self._until_off(instance.instance_id)
            self.start(image, env, instance)
        except RunnerError as error:
            self._fail(instance.instance_id, str(error))
        except Exception as error:
            LOG.exception("booting %s failed", instance.instance_id)
            self._fail(instance.instance_id, f"booting failed: {error}")

    def _until_off(self, instance_id: str) -> None:
        """A host that is started again has stopped first."""
        while (unit := self._units.get(instance_id)) is not None and unit.stopping:
            self._closing.wait(0.1)

    def _fail(
        self, instance_id: str, reason: str, kind: t.Literal["launch_failed", "unhealthy"] = "launch_failed"
    ) -> None:
        LOG.warning("%s: %s", instance_id, reason)
        with self._log_path(instance_id).open("a", encoding="utf-8") as log:
            log.write(f"local_aws: {reason}\n")
        self._events.put(HostEvent(instance_id, kind, reason))

    def _log_path(self, instance_id: str) -> Path:
        return self.state_dir / "log" / f"{instance_id}.log"

    def start(self, image: str, env: t.Mapping[str, str], instance: Instance) -> None:
        """Start the worker from ``image``."""
        full = self.environment(env, instance)
        log = self._log_path(instance.instance_id)
        shipped = log.stat().st_size if log.exists() else 0
        shipper = Shipper(log, env.get("SD_LOG_GROUP", ""), instance.instance_id, shipped)
        unit = Unit(instance.instance_id, image, full, log, shipper)
        with self._lock:
            if self._closing.is_set() or instance.instance_id in self._off:
                return
            self._units[instance.instance_id] = unit
        self._launch(unit)

    def _launch(self, unit: Unit) -> None:
        running = self.run(unit)
        unit.started(running, time.monotonic())
        if unit.stopping or self._closing.is_set():  # powered off while it was starting
            unit.kill(signal.SIGKILL)

    def stop(self, instance_id: str) -> None:
        """Power off: SIGTERM now, SIGKILL after the grace."""
        with self._lock:
            self._off.add(instance_id)
            unit = self._units.get(instance_id)
        if unit is not None and not unit.stopping:
            unit.stop(time.monotonic())

    def kill(self, instance_id: str) -> None:
        """kill -9 of the worker; it is started again."""
        self._signal(instance_id, signal.SIGKILL)

    def restart(self, instance_id: str) -> None:
        """SIGTERM to the worker; once it has gone it is started again."""
        self._signal(instance_id, signal.SIGTERM)

    def _signal(self, instance_id: str, number: signal.Signals) -> None:
        with self._lock:
            unit = self._units.get(instance_id)
        if unit is not None:
            unit.kill(number)

    def pid(self, instance_id: str) -> int | None:
        """The process of an instance's worker."""
        with self._lock:
            unit = self._units.get(instance_id)
        return unit.running.pid if unit and unit.running else None

    def poll(self) -> list[HostEvent]:
        """What happened since the last call."""
        events: list[HostEvent] = []
        with contextlib.suppress(queue.Empty):
            while True:
                events.append(self._events.get_nowait())
        return events

    def _supervise(self) -> None:
        shipped = 0.0
        while not self._closing.wait(0.1):
            now = time.monotonic()
            with self._lock:
                units = list(self._units.values())
            for unit in units:
                self._look_after(unit, now)
            if now - shipped >= SHIP_SECONDS:
                shipped = now
                self._ship(units)

    def _probe(self) -> None:
        """The health timers of all hosts."""
        while not self._closing.wait(self.health_seconds / 10):
            with self._lock:
                units = list(self._units.values())
            for unit in units:
                unit.probe(self.health_seconds, time.monotonic())

    def _ship(self, units: list[Unit]) -> None:
        for unit in units:
            try:
                unit.shipper.ship()
            except Exception:  # the output of the others goes on
                LOG.exception("the output of %s could not be shipped", unit.instance_id)

    def _look_after(self, unit: Unit, now: float) -> None:
        unit.observe(now)
        if unit.gone:
            self._ship([unit])
            with self._lock:
                self._units.pop(unit.instance_id, None)
        elif unit.gave_up:
            with self._lock:
                self._units.pop(unit.instance_id, None)
            self._ship([unit])
            self._fail(unit.instance_id, unit.failure())
        elif unit.due(now):
            try:
                self._launch(unit)
            except RunnerError as error:
                unit.failed_to_start(now, str(error))

    def take_all(self) -> list[Unit]:
        """For the end: nothing is started any more; the units that were there."""
        self._closing.set()
        with self._lock:
            units = list(self._units.values())
            self._units.clear()
        return units
