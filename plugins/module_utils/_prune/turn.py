# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The lock of a deployment, taken for something other than a release, by the same rules."""

from __future__ import annotations

import dataclasses
import types
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws
from ansible_collections.diffusion.fleet.plugins.module_utils._aws.clock import Clock
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import Conflict, InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._release import fleet, store, takeover
from ansible_collections.diffusion.fleet.plugins.module_utils._release.actions import Actions
from ansible_collections.diffusion.fleet.plugins.module_utils._release.decide import wait_turn
from ansible_collections.diffusion.fleet.plugins.module_utils._release.guard import Guard
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.observe import not_provisioned
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import (
    Action,
    Context,
    Kind,
    Observation,
    Options,
)


def read_settled(aws: Aws, names: Names) -> store.Parameters:
    """The parameters of a deployment whose ledger says what is needed.

    Raises: NotFound where nothing was provisioned, InvalidInput where no ledger says what is stable.
    """
    parameters = store.read_parameters(aws.client("ssm"), names)
    if parameters.host is None:
        raise not_provisioned(names, parameters)
    if takeover.needed(parameters):
        raise InvalidInput(
            f"The fleet runs {parameters.projections['image-version']} without a ledger, so nothing says what a "
            "rollback needs; nothing was removed. Run deploy.yml, which takes it over, then this again."
        )
    return parameters


def check_closed(names: Names, ledger: Ledger) -> None:
    """Nothing is removed while it is not settled what is needed.

    Raises: Conflict.
    """
    if not ledger.is_open:
        return
    version = ledger.candidate.version if ledger.candidate else "none"
    state = f"paused ({ledger.paused})" if ledger.paused else ledger.status.value
    raise Conflict(
        f"A release of {names.deployment_id} is open ({version}, {state}); nothing was removed. Finish it with "
        "deploy.yml or promote.yml, or give it up with rollback.yml, then run this again."
    )


class Turn:
    """Waits until nobody else works on the deployment, and keeps everybody else waiting meanwhile.

    Raises: LockHeld when another run is alive, Conflict while a release is open, LockLost when this run was overtaken.
    """

    def __init__(self, aws: Aws, names: Names, options: Options, clock: Clock) -> None:
        self._aws = aws
        self._names = names
        self._options = options
        self._clock = clock
        self._guard = Guard(aws, names)
        self._actions = Actions(aws, names, self._guard)
        self._context = Context()
        self._seen: Observation | None = None

    def __enter__(self) -> Turn:
        """Take the lock; what is read from now on holds until it is given back."""
        try:
            while not self._advance():
                pass
        except BaseException:
            self._give_back()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        """Give it back."""
        self._give_back()

    def prove(self) -> None:
        """Before each change: prove that the lock is still this run's, and say that it is alive.

        Raises: LockLost.
        """
        seen = dataclasses.replace(t.cast(Observation, self._seen), now=self._clock.now(), context=self._context)
        self._guard.check(seen)
        self._context = self._guard.renew(seen)

    def _advance(self) -> bool:
        """One step on the way to the lock; whether it is held."""
        seen = self._seen = self._look()
        check_closed(self._names, seen.ledger)
        action = _next(seen)
        if action is None:
            return True
        self._context = self._actions.apply(seen, action)
        if action.failure is not None:
            raise action.failure
        if action.kind is Kind.WATCH:
            self._clock.sleep(self._options.timing.poll)
        return False

    def _look(self) -> Observation:
        parameters = read_settled(self._aws, self._names)
        return Observation(
            now=self._clock.now(),
            options=self._options,
            context=self._context,
            ledger=parameters.ledger,
            group=fleet.read_group(self._aws.client("autoscaling"), self._names),
            projections=parameters.projections,
            lock=parameters.lock,
        )

    def _give_back(self) -> None:
        if self._seen is not None and self._context.epoch is not None:
            lock = store.read_parameters(self._aws.client("ssm"), self._names).lock
            self._guard.release(dataclasses.replace(self._seen, lock=lock, context=self._context))


def _next(seen: Observation) -> Action | None:
    """The next step on the way to the lock; None where it is held."""
    if not seen.mine:
        return wait_turn(seen) or Action(Kind.TAKE_LOCK, "taking the lock")
    return Action(Kind.CLAIM, "holding the lock") if seen.ledger.epoch < seen.held_epoch else None
