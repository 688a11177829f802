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
