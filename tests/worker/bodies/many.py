# SPDX-License-Identifier: Apache-2.0
"""Many bodies of a strategy, without shrinking: for counting rather than for one short example."""

from __future__ import annotations

import hashlib
import typing as t

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.worker.bodies.requests import Body

_BLOCK = 2000


def distinct(count: int, first_seed: int, bodies: st.SearchStrategy[Body]) -> t.Iterator[Body]:
    """That many bodies, no two of which are the same."""
    seen: set[bytes] = set()
    number = first_seed
    while len(seen) < count:
        for body in _block(min(_BLOCK, count), number, bodies):
            digest = hashlib.sha256(body.data).digest()
            if digest not in seen and len(seen) < count:
                seen.add(digest)
                yield body
        number += 1


def _block(count: int, number: int, bodies: st.SearchStrategy[Body]) -> list[Body]:
    made: list[Body] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(bodies)
    def collect(body: Body) -> None:
        made.append(body)

    collect()
    return made
