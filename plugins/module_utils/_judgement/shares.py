# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Exact tests of shares, for the small counts of a first step. Pure; plain Python.

Against stable: Fisher's exact test, one-sided (R. A. Fisher, Statistical Methods for Research Workers, 1934, section
21.02). Against a limit: the binomial tail.
"""

from __future__ import annotations

import math


def fisher_greater(bad: int, total: int, other_bad: int, other_total: int) -> float:
    """Probability, if both sides were alike, of ``bad`` or more among ``total`` (hypergeometric tail)."""
    everything, all_bad = total + other_total, bad + other_bad
    if not total or not other_total or not all_bad:
        return 1.0
    all_good, first = everything - all_bad, max(bad, total - (everything - all_bad))
    term = math.exp(_log_ways(all_bad, first) + _log_ways(all_good, total - first) - _log_ways(everything, total))
    tail = term
    for k in range(first, min(all_bad, total)):  # each term from the one before: linear, and no huge numbers
        term *= (all_bad - k) * (total - k) / ((k + 1) * (all_good - total + k + 1))
        tail += term
    return min(1.0, tail)


def _log_ways(of: int, chosen: int) -> float:
    """Logarithm of the number of ways to choose."""
    return math.lgamma(of + 1) - math.lgamma(chosen + 1) - math.lgamma(of - chosen + 1)


def binomial_at_least(bad: int, total: int, share: float) -> float:
    """Probability of ``bad`` or more among ``total`` jobs that each are bad with probability ``share``."""
    if bad <= 0 or not 0 < share < 1:
        return 1.0 if bad <= 0 or share >= 1 else 0.0
    log, complement = math.log(share), math.log1p(-share)
    terms = (math.exp(_log_ways(total, k) + k * log + (total - k) * complement) for k in range(bad, total + 1))
    return min(1.0, sum(terms))
