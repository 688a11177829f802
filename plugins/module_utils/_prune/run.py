# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The use case of ``prune``: look, plan, remove what nothing needs, while no release can begin."""

from __future__ import annotations

import dataclasses
import getpass
import socket
import typing as t
import uuid

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws, Clients
from ansible_collections.diffusion.fleet.plugins.module_utils._aws.clock import Clock, SystemClock
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError, InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.settings import stated, suboptions
from ansible_collections.diffusion.fleet.plugins.module_utils._prune.observe import observe
from ansible_collections.diffusion.fleet.plugins.module_utils._prune.plan import diff, make_plan, removals, summary
from ansible_collections.diffusion.fleet.plugins.module_utils._prune.remove import Remover
from ansible_collections.diffusion.fleet.plugins.module_utils._prune.turn import Turn, check_closed, read_settled
from ansible_collections.diffusion.fleet.plugins.module_utils._prune.values import Item, Kind, Rules
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names, check_deployment_id
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import Goal, Options, Timing

LOWEST = {"keep_versions": 1, "keep_days": 0, "keep_amis": 0}


@dataclasses.dataclass(frozen=True)
class LockTiming:
    """Seconds; as those of the releases, whose lock it is."""

    poll: int = Timing.poll
    lock_expiry: int = Timing.lock_expiry
    lock_watch: int = Timing.lock_watch


ARGUMENT_SPEC: dict[str, t.Any] = {
    "deployment_id": {"type": "str", "required": True},
    "kinds": {
        "type": "list",
        "elements": "str",
        "choices": [k.value for k in Kind],
        "default": [k.value for k in Kind],
    },
    "keep_versions": {"type": "int", "default": Rules.keep_versions},
    "keep_days": {"type": "int", "default": Rules.keep_days},
    "keep_amis": {"type": "int", "default": Rules.keep_amis},
    "timing": suboptions(LockTiming, {}),
}


def run_prune(
    aws: Aws, params: t.Mapping[str, t.Any], *, check_mode: bool, clock: Clock | None = None
) -> dict[str, t.Any]:
    """The module's result.

    Raises: FleetError.
    """
    names, rules = Names(check_deployment_id(params["deployment_id"])), _rules(params)
    kinds = frozenset(params["kinds"])
    return Prune(Clients(aws), names, rules, kinds, _options(params), clock or SystemClock()).run(check_mode)


def _rules(params: t.Mapping[str, t.Any]) -> Rules:
    for name, lowest in LOWEST.items():
        if params[name] < lowest:
            raise InvalidInput(f"{name}={params[name]} must be {lowest} or more.")
    return Rules(**{name: params[name] for name in LOWEST})


def _options(params: t.Mapping[str, t.Any]) -> Options:
    """For the lock alone: a run that wants no release."""
    given = stated(params["timing"])
    for name, seconds in given.items():
        if seconds < 1:
            raise InvalidInput(f"timing.{name}={seconds} is too small.")
    timing = Timing(**given)
    # Late, so that a release which comes meanwhile waits for the end instead of meeting a holder that goes on and on:
    # after half of the time, since the guard renews a poll before it must.
    timing = dataclasses.replace(timing, lock_renew=timing.lock_expiry // 2 + timing.poll)
    return Options(
        deployment_id=params["deployment_id"],
        goal=Goal.PROMOTED,
        run=uuid.uuid4().hex,
        owner=f"{getpass.getuser()} (prune.yml)",
        host=socket.gethostname(),
        timing=timing,
    )


class Prune:
    """One run."""

    def __init__(
        self, aws: Aws, names: Names, rules: Rules, kinds: frozenset[str], options: Options, clock: Clock
    ) -> None:
        self._aws = aws
        self._names = names
        self._rules = rules
        self._kinds = kinds
        self._options = options
        self._clock = clock

    def run(self, check_mode: bool) -> dict[str, t.Any]:
        """The module's result; no lock is taken where nothing is to be removed.

        Raises: FleetError; ``details`` then says what was removed.
        """
        check_closed(self._names, read_settled(self._aws, self._names).ledger)
        items = self._plan()
        if check_mode or not removals(items):
            return _result(items, removals(items), [], "would be removed")
        with Turn(self._aws, self._names, self._options, self._clock) as turn:
            items = self._plan()  # what was seen before the lock was held may have changed
            remover = Remover(self._aws, self._names, turn.prove)
            try:
                remover.remove(removals(items))
            except FleetError as error:
                error.details.update(removed=_names(remover.removed))
                raise
        return _result(items, remover.removed, remover.notes, "removed")

    def _plan(self) -> tuple[Item, ...]:
        items = make_plan(observe(self._aws, self._names, self._clock.now()), self._rules)
        return tuple(item for item in items if item.kind in self._kinds)


def _names(items: t.Iterable[Item]) -> dict[str, list[str]]:
    """Names by kind."""
    names: dict[str, list[str]] = {kind.value: [] for kind in Kind}
    for item in items:
        names[item.kind.value].append(item.name)
    return names


def _result(items: t.Sequence[Item], gone: t.Sequence[Item], notes: t.Sequence[str], verb: str) -> dict[str, t.Any]:
    lines = [f"{verb}: {item.label}" for item in gone] or ["nothing to remove"]
    left = {item.name for item in gone}
    return {
        "changed": bool(gone),
        "removed": _names(gone),
        "kept": summary(items),
        "lines": [*lines, *notes],
        "diff": diff(items, left),
    }
