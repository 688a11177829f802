# SPDX-License-Identifier: GPL-3.0-or-later
"""The exact tests of shares are SciPy's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, fisher_exact

from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.shares import (
    binomial_at_least,
    fisher_greater,
)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_the_test_against_stable_is_fishers(bad: int, good: int, other_bad: int, other_good: int) -> None:
    expected = fisher_exact([[bad, good], [other_bad, other_good]], alternative="greater").pvalue
    assert fisher_greater(bad, bad + good, other_bad, other_bad + other_good) == pytest.approx(expected, abs=1e-9)


@given(st.integers(0, 40), st.integers(0, 60), st.sampled_from([0.01, 0.1, 0.5]))
def test_the_test_against_a_limit_is_the_binomial_tail(bad: int, more: int, share: float) -> None:
    assert binomial_at_least(bad, bad + more, share) == pytest.approx(binom.sf(bad - 1, bad + more, share), abs=1e-9)


def test_large_samples_are_compared_at_once() -> None:
    expected = fisher_exact([[200, 9800], [3000, 57000]], alternative="greater").pvalue
    assert fisher_greater(200, 10000, 3000, 60000) == pytest.approx(expected, abs=1e-9)
    assert binomial_at_least(5200, 50000, 0.1) == pytest.approx(binom.sf(5199, 50000, 0.1), rel=1e-6)


@pytest.mark.parametrize(("bad", "other_bad"), [(0, 3000), (10, 3000), (2900, 3000), (3000, 3000), (3300, 3000)])
def test_a_candidate_far_better_than_a_large_stable_is_not_worse(bad: int, other_bad: int) -> None:
    # The terms of these tails do not all fit into a float.
    expected = fisher_exact([[bad, 10000 - bad], [other_bad, 10000 - other_bad]], alternative="greater").pvalue
    assert fisher_greater(bad, 10000, other_bad, 10000) == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert binomial_at_least(bad, 10000, 0.3) == pytest.approx(binom.sf(bad - 1, 10000, 0.3), rel=1e-6, abs=1e-12)
