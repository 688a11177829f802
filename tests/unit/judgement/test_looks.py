# SPDX-License-Identifier: GPL-3.0-or-later
"""The looks use the false-alarm limit up and never more."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.comparisons import COMPARISONS, PARTS
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.looks import Look, level, newest, sizes
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.verdict import SKIPPED


def all_parts(steps: int, skipped: int) -> float:
    """What all looks of one comparison use over a release of that many steps."""
    looks = [Look(size, number) for number, size in enumerate(itertools.islice(sizes(), 60), start=1)]
    total = sum(level(look, 1, "both", skipped) for look in looks) + level(Look(9, 0), 1, "both")
    for step in range(2, steps + 1):
        # The looks at the whole release are counted with the first step: each happens once, whenever it is reached.
        total += sum(level(look, step, "step", skipped) for look in looks)
        total += level(Look(9, 0), step, "step") + level(Look(9, 0), step, "release")
    return total


@pytest.mark.parametrize("skipped", [0, *SKIPPED.values()])
def test_over_any_number_of_steps_the_parts_add_up_to_the_whole_and_no_more(skipped: int) -> None:
    assert all_parts(5, skipped) < all_parts(100, skipped) < 1
    assert all_parts(3000, skipped) == pytest.approx(1, abs=0.001)


def test_the_comparisons_share_the_limit() -> None:
    assert sum(PARTS.values()) == pytest.approx(1)
    assert set(COMPARISONS) == set(PARTS)


def test_the_looks_come_after_these_numbers_of_jobs() -> None:
    assert list(itertools.islice(sizes(), 8)) == [4, 10, 20, 50, 100, 200, 500, 1000]
    assert newest(3) is None
    assert newest(50) == Look(50, 4)
    assert newest(99) == Look(50, 4)


@given(st.integers(4, 10**6))
def test_less_than_two_thirds_of_the_jobs_wait_for_the_next_look(count: int) -> None:
    look = newest(count)
    assert look is not None
    assert look.size <= count < look.size * 2.5 + 1
