# SPDX-License-Identifier: GPL-3.0-or-later
"""The three moments at which systemd calls the host: before a start, after an end, and at the timer."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from sd_host import commands, fleet, probes, rules
from sd_host import settings as settings_module
from sd_host.commands import CommandFailed
from sd_host.log import Log, last_words
from sd_host.settings import InvalidSettings, Settings
from sd_host.state import State, Store, locked


class Host:
    """One host, for one call of systemd."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        names = {"deployment_id": settings.deployment_id}
        self.host_log = Log(settings.log_dir / "host.log", names)
        self.health_log = Log(settings.log_dir / "health-check.log", names, echo=True)

    def prepare(self) -> int:
        """Before a start: no old container, and the image by its digest. The exit status."""
        self._note(rules.idle)
        begun = time.monotonic()
        try:
            image = _image(self.settings)
            commands.start_engine()
            commands.remove_container()
            fetched = commands.pull(image, self.settings.pull_seconds)
        except (CommandFailed, InvalidSettings) as error:
            reason = str(error)
            self.host_log.line("not started", reason=reason)
            self._note(lambda state: rules.idle(state, reason))
            return 1
        seconds = round(time.monotonic() - begun, 1)
        self.host_log.line("starting", image=image, fetched=fetched, seconds=seconds)
        self._note(lambda state: rules.started(state, time.monotonic()))
        return 0

    def _note(self, change: t.Callable[[State], State]) -> tuple[State, State]:
        """Change the state; what it was, and what it is."""
        with locked(self.settings.state_dir) as store:
            before = store.load()
            after = change(before)
            store.save(after)
        return before, after

    def ended(self, environ: t.Mapping[str, str]) -> int:
        """After an end, whatever ended it."""
        asked = commands.stop_is_asked_for()
        try:
            commands.remove_container()
        except CommandFailed as error:
            self.host_log.line("container not removed", reason=str(error))
        how = " ".join(environ.get(name, "?") for name in ("SERVICE_RESULT", "EXIT_CODE", "EXIT_STATUS"))
        words = f"{how}: {last_words(self.settings.worker_log)}"
        before, after = self._note(
            lambda state: rules.ended(state, self.settings, time.monotonic(), asked, state.not_started or words)
        )
        self.host_log.line("ended", asked=asked, how=how, killed=before.killed, failed_starts=after.failed_starts)
        if after.given_up and not before.given_up:
            self.host_log.line("given up", reason=after.given_up)
        return 0

    def check(self) -> int:
        """At the timer."""
        with locked(self.settings.state_dir) as store:
            state = store.load()
            if state.given_up:
                self._take_leave(store, state)
                return 0
        if commands.unit_state() != "active":
            return 0
        finding = probes.look(self.settings)
        with locked(self.settings.state_dir) as store:
            self._judge(store, finding)
        return 0

    def _judge(self, store: Store, finding: rules.Finding) -> None:
        before = store.load()
        if before.started is None:
            return  # it has ended while it was asked
        state, step = rules.checked(before, self.settings, finding, time.monotonic())
        store.save(state)
        if state.problem or before.problem:
            said = {"failed_checks": state.failed_checks, "step": step, "problem": state.problem}
            self.health_log.line("unhealthy" if state.problem else "healthy again", **said)
        if step:
            self._kill(store, state)

    def _kill(self, store: Store, state: State) -> None:
        """The worker goes; systemd starts it again, unless it was given up."""
        try:
            commands.kill_worker()
        except CommandFailed as error:
            self.health_log.line("not killed", reason=str(error))
            state = state if state.given_up else rules.give_up(state, f"{state.problem}; it cannot be killed: {error}")
            store.save(state)
        if state.given_up:
            self.host_log.line("given up", reason=state.given_up)
            self._take_leave(store, state)

    def _take_leave(self, store: Store, state: State) -> None:
        """Tell Auto Scaling in the worker's place, again at each tick until the instance is let go."""
        try:
            env = settings_module.worker_env(self.settings.worker_env)
            reported = _tell(fleet.Group(env)) if env.get("SD_GROUP") else "nobody: the instance has no group"
        except (fleet.Unreachable, InvalidSettings) as error:
            reported = f"not told: {error}"
        if reported != state.reported:
            self.health_log.line("given up", reason=state.given_up, reported=reported)
            store.save(dataclasses.replace(state, reported=reported))


def _tell(group: fleet.Group) -> str:
    if group.terminating():
        taken = group.complete(fleet.TERMINATE, "CONTINUE")
        return "termination may go on" if taken else "termination does not wait"
    if group.complete(fleet.LAUNCH, "ABANDON"):
        return "launch abandoned"
    return "reported unhealthy" if group.report_unhealthy() else "the group does not know this instance"


def _image(settings: Settings) -> str:
    env = settings_module.worker_env(settings.worker_env)
    owner = env.get("SD_DEPLOYMENT_ID", "")
    if owner != settings.deployment_id:
        raise InvalidSettings(
            f"{settings.worker_env}: SD_DEPLOYMENT_ID is {owner!r}, this host was made for {settings.deployment_id!r}: "
            "its logs would go to that deployment. Bake an image for this one."
        )
    image = env.get("SD_IMAGE", "")
    if "@sha256:" not in image:
        raise InvalidSettings(f"{settings.worker_env}: SD_IMAGE is {image!r}: it must name a digest (…@sha256:…)")
    return image
