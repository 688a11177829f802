# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from what was seen: decisions about values, without any call."""

from __future__ import annotations

import dataclasses
import typing as t

from sd_host.settings import Settings
from sd_host.state import State

Step = t.Literal["", "restart", "give up"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one health check has seen."""

    silent: str = ""
    """Why the worker counts as silent; empty: it has answered."""
    broken: str = ""
    """What is wrong with the host itself, which no restart mends."""


def idle(state: State, reason: str = "") -> State:
    """No worker runs; ``reason`` says why none could be started."""
    return dataclasses.replace(state, started=None, not_started=reason, answered=False, failed_checks=0, killed=False)


def started(state: State, now: float) -> State:
    """The worker runs from now on."""
    return dataclasses.replace(idle(state), started=now)


def ended(state: State, settings: Settings, now: float, asked: bool, last_words: str) -> State:
    """The worker has ended, or could not be started at all."""
    steady = state.started is not None and now - state.started >= settings.steady_seconds
    failures = (0 if steady else state.failed_starts) + (0 if asked or state.killed else 1)
    state = dataclasses.replace(idle(state), failed_starts=failures)
    if failures < settings.starts or state.given_up:
        return state
    return give_up(state, f"the worker failed {failures} times in a row: {last_words}")


def checked(state: State, settings: Settings, finding: Finding, now: float) -> tuple[State, Step]:
    """What to do after a health check. One failure is never enough."""
    starting = state.started is not None and not state.answered and now - state.started < settings.starting_seconds
    counts = finding.broken or (finding.silent and not starting)
    state = dataclasses.replace(
        state,
        answered=state.answered or not finding.silent,
        failed_checks=state.failed_checks + 1 if counts else 0,
        problem=finding.broken or finding.silent,
    )
    if state.failed_checks < settings.failures:
        return state, ""
    return _act(state, settings, finding, now)


def _act(state: State, settings: Settings, finding: Finding, now: float) -> tuple[State, Step]:
    recent = tuple(at for at in state.silences if now - at < settings.restarts_seconds)
    times = f"{state.failed_checks} times in a row"
    if finding.broken:
        return give_up(state, f"{finding.broken}, {times}"), "give up"
    if len(recent) >= settings.restarts:
        again = f", after {len(recent)} restart(s) for the same reason" if recent else ""
        return give_up(state, f"{finding.silent}, {times}{again}"), "give up"
    return dataclasses.replace(state, killed=True, silences=(*recent, now), failed_checks=0), "restart"


def give_up(state: State, reason: str) -> State:
    """The host does without its worker from now on."""
    return dataclasses.replace(state, given_up=reason)
