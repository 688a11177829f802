# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Exact tests of shares, for the small counts of a first step. Pure; plain Python.

Against stable: Fisher's exact test, one-sided (R. A. Fisher, Statistical Methods for Research Workers, 1934, section
21.02). Against a limit: the binomial tail.
"""

from __future__ import annotations

import math

NEGLIGIBLE = 1e-17
"""Terms smaller than that part of the sum change nothing."""


def fisher_greater(bad: int, total: int, other_bad: int, other_total: int) -> float:
    """Probability, if both sides were alike, of ``bad`` or more among ``total`` (hypergeometric tail)."""
    everything, all_bad = total + other_total, bad + other_bad
    if not bad or not other_total:
        return 1.0
    if bad * everything > total * all_bad:
        return _hypergeometric_tail(bad, total, all_bad, everything)
    # Below what is expected the first term may be too small for a float: the other tail has the large ones.
    return 1.0 - _hypergeometric_tail(total - bad + 1, total, everything - all_bad, everything)


def _hypergeometric_tail(first: int, total: int, marked: int, everything: int) -> float:
    """Probability of ``first`` or more marked ones among ``total`` drawn; ``first`` is above what is expected."""
    if first > min(marked, total):
        return 0.0
    unmarked = everything - marked
    term = math.exp(_log_ways(marked, first) + _log_ways(unmarked, total - first) - _log_ways(everything, total))
    tail = term
    for k in range(first, min(marked, total)):  # each term from the one before: linear, and no huge numbers
        term *= (marked - k) * (total - k) / ((k + 1) * (unmarked - total + k + 1))
        tail += term
        if term <= tail * NEGLIGIBLE:
            break
    return min(1.0, tail)


def _log_ways(of: int, chosen: int) -> float:
    """Logarithm of the number of ways to choose."""
    return math.lgamma(of + 1) - math.lgamma(chosen + 1) - math.lgamma(of - chosen + 1)


def binomial_at_least(bad: int, total: int, share: float) -> float:
    """Probability of ``bad`` or more among ``total`` jobs that each are bad with probability ``share``."""
    if bad <= 0 or not 0 < share < 1:
        return 1.0 if bad <= 0 or share >= 1 else 0.0
    if bad > total * share:
        return _binomial_tail(bad, total, share)
    return 1.0 - _binomial_tail(total - bad + 1, total, 1 - share)


def _binomial_tail(first: int, total: int, share: float) -> float:
    """Probability of ``first`` or more; ``first`` is above what is expected."""
    if first > total:
        return 0.0
    term = math.exp(_log_ways(total, first) + first * math.log(share) + (total - first) * math.log1p(-share))
    tail = term
    for k in range(first, total):
        term *= (total - k) / (k + 1) * share / (1 - share)
        tail += term
        if term <= tail * NEGLIGIBLE:
            break
    return min(1.0, tail)
