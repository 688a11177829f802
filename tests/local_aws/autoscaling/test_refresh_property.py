# SPDX-License-Identifier: Apache-2.0
"""Whatever the size and the preferences: capacity in service stays within its bounds."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.scaling import Fleet


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    size=st.integers(1, 8),
    low=st.integers(0, 100),
    above=st.integers(0, 100),
    warmup=st.integers(0, 20),
    hooks=st.booleans(),
)
def test_in_service_stays_between_floor_and_ceiling(size: int, low: int, above: int, warmup: int, hooks: bool) -> None:
    """Never below the minimum share, never above the maximum, one more where no bound leaves room."""
    high = min(100 + above, 100 + low)
    with Fleet() as fleet:
        fleet.create(size, hooks=hooks)
        fleet.start(MinHealthyPercentage=low, MaxHealthyPercentage=high, InstanceWarmup=warmup)
        counts = []
        while fleet.world_refresh().active:
            fleet.advance(1)
            counts.append(fleet.serving())
        floor, ceiling = size * low // 100, max(size + 1, size * high // 100)
        assert floor <= min(counts) and max(counts) <= ceiling
        assert fleet.refresh()["Status"] == "Successful" and len(fleet.ids(version="2")) == size
