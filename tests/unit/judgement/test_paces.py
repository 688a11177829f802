# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparison of latencies is the Mann-Whitney test, widened by what instances differ by."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import chi2, mannwhitneyu

from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.paces import (
    Paces,
    at_least,
    chi_square,
    dominance,
    proven_spread,
    slowdown,
)

VALUES = st.lists(st.floats(-3, 3, allow_nan=False, width=32), min_size=1, max_size=30, unique=True)


def sample(seed: int, count: int, instances: int, shift: float = 0.0, spread: float = 0.1) -> Paces:
    """Logarithms of paces, by instance."""
    source = random.Random(seed)
    own = [source.gauss(shift, spread) for _unused in range(instances)]
    return {f"i-{n}": [source.gauss(own[n], 0.5) for _unused in range(count // instances)] for n in range(instances)}


@given(VALUES, VALUES)
def test_the_share_of_greater_pairs_is_mann_and_whitneys_statistic(ours: list[float], theirs: list[float]) -> None:
    statistic = mannwhitneyu(ours, theirs).statistic
    assert dominance(sorted(ours), sorted(theirs)) * len(ours) * len(theirs) == pytest.approx(statistic)


@given(VALUES, VALUES, st.floats(0.001, 0.2))
def test_without_instance_differences_there_is_a_slowdown_just_when_the_test_rejects(
    ours: list[float], theirs: list[float], level: float
) -> None:
    p = mannwhitneyu(ours, theirs, alternative="greater", method="asymptotic", use_continuity=False).pvalue
    lower = at_least({"a": ours}, {"b": theirs}, level, 0.0)
    assume(abs(lower) > 0.001 and abs(p - level) > 1e-6 and not set(ours) & set(theirs))
    assert (lower > 0) == (p < level)


@given(VALUES, VALUES, st.floats(-2, 2))
def test_the_slowdown_moves_with_the_candidate(ours: list[float], theirs: list[float], shift: float) -> None:
    before = slowdown({"a": ours}, {"b": theirs})
    after = slowdown({"a": [value + shift for value in ours]}, {"b": theirs})
    assert after == pytest.approx(before + shift, abs=3e-4)


@given(st.integers(0, 1000), st.floats(0.05, 0.5))
def test_more_spread_of_instances_never_makes_surer(seed: int, more: float) -> None:
    ours, theirs = sample(seed, 50, 1, 0.5), sample(seed + 1, 200, 4)
    assert at_least(ours, theirs, 0.01, 0.05 + more) <= at_least(ours, theirs, 0.01, 0.05)


def test_equal_draw_times_are_no_difficulty() -> None:
    ours, theirs = {"a": [math.log(3000)] * 10}, {"b": [math.log(1000)] * 40}
    assert slowdown(ours, theirs) == pytest.approx(math.log(3), abs=1e-3)
    assert 0 < at_least(ours, theirs, 0.001, 0.1) < math.log(3)


def test_one_instance_cannot_prove_a_small_slowdown_with_any_number_of_jobs() -> None:
    one, ten = sample(1, 20000, 1, 0.15, 0.0), sample(1, 20000, 10, 0.15, 0.0)
    theirs = sample(2, 20000, 10, 0.0, 0.0)
    assert at_least(one, theirs, 0.001, 0.1) < 0 < at_least(ten, theirs, 0.001, 0.1)


def test_a_fleet_of_two_kinds_of_instance_allows_for_more() -> None:
    mixed = {**sample(1, 200, 4, 0.0), **{f"fast-{n}": row for n, row in sample(2, 200, 4, -1.0).items()}}
    assert proven_spread(mixed) > 0.25
    assert proven_spread(sample(4, 400, 8)) < 0.13


def test_in_large_samples_the_limit_is_still_the_shift_that_the_test_just_rejects() -> None:
    ours, theirs = sample(1, 9000, 3, 0.4, 0.0), sample(2, 12000, 6, 0.0, 0.0)
    limit = at_least(ours, theirs, 0.01, 0.0)
    left = [value - limit for values in ours.values() for value in values]
    right = [value for values in theirs.values() for value in values]
    assert mannwhitneyu(left, right, alternative="greater").pvalue == pytest.approx(0.01, rel=0.25)
    assert slowdown(ours, theirs) == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("freedom", [2, 3, 7, 19, 99])
def test_the_quantile_of_chi_square_is_near_scipys(freedom: int) -> None:
    assert chi_square(freedom) == pytest.approx(chi2.ppf(0.95, freedom), rel=0.01)
