# SPDX-License-Identifier: GPL-3.0-or-later
"""A small soak: 150 requests of every kind on workers that are killed, restarted, replaced and refreshed meanwhile."""

from __future__ import annotations

import pathlib

from campaign.soak.blows import EVERY
from campaign.soak.run import Options, soak
from tests.support.playbooks import local_aws

SMALL = Options(
    requests=150,
    workers=4,
    digits=0,
    seed=7,
    seconds=5,
    visibility_seconds=3,
    noop_ms=50,
    drawn_twice=0.1,  # so few requests, and so many killed for so few: the campaign counts this
)


def test_every_request_ends_well_whatever_is_killed(tmp_path: pathlib.Path) -> None:
    with local_aws(tmp_path) as endpoint:
        outcome = soak(endpoint, tmp_path, SMALL)
    assert outcome.count.wrong == []
    assert set(outcome.dealt) == set(EVERY)
    assert outcome.ills
