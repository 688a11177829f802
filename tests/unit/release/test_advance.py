# SPDX-License-Identifier: GPL-3.0-or-later
"""The way forward where every refresh leaves something: it ends, too. Values in, values out."""

from __future__ import annotations

import datetime as dt

from ansible_collections.diffusion.fleet.plugins.module_utils._release.advance import MAX_AGAIN, advance
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger, Release, Status
from ansible_collections.diffusion.fleet.plugins.module_utils._release.plan import make_plan
from ansible_collections.diffusion.fleet.plugins.module_utils._release.steps import Wish
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import (
    Action,
    Context,
    Goal,
    Group,
    Kind,
    Member,
    Observation,
    Options,
    Refresh,
)

NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
LEDGER = Ledger(
    stable=Release("1.0.0", "sha256:1", "aaaaaaaaaaaa", "2"),
    candidate=Release("1.1.0", "sha256:2", "bbbbbbbbbbbb", "3"),
    status=Status.IN_PROGRESS,
    refresh_id="r",
    step=1,
    started_at=NOW.isoformat(),
)


def after(refreshes: int) -> Action:
    """All steps have passed, so many refreshes again have succeeded, and an instance runs something else still."""
    members = (Member("i-1", "InService", "3"), Member("i-2", "InService", "other:3"))
    return advance(
        Observation(
            now=NOW,
            options=Options("demo", Goal.DEPLOYED, "run", "tester", "here"),
            context=Context(prepared=True, refreshed_again=refreshes),
            ledger=LEDGER,
            group=Group("sd", "arn", 2, 4, "3", members),
            projections={},
            refresh=Refresh("r", "Successful", "3", 100, "", NOW),
            plan=make_plan(2, [Wish(100)], checkpoint_delay=60, bake_time=60, replacement_seconds=30, surge=True),
        )
    )


def test_a_release_that_refreshes_cannot_finish_goes_back() -> None:
    kinds = [after(count).kind for count in range(MAX_AGAIN + 1)]
    assert kinds == [Kind.START_REFRESH] * MAX_AGAIN + [Kind.RETREAT]
    assert after(MAX_AGAIN).reason == f"1 instances run something else after {MAX_AGAIN + 1} instance refreshes"
