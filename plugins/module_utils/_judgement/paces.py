# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""How much slower one side draws than the other, and how sure that is. Pure; plain Python.

The slowdown is the Hodges-Lehmann shift of the logarithms, and its lower limit is the one that belongs to the
Mann-Whitney test (E. L. Lehmann, Nonparametric Confidence Intervals for a Shift Parameter, Annals of Mathematical
Statistics 34, 1963). Jobs of one instance are alike, so few instances prove little however many jobs they finish:
what instances differ by is added to that limit in squares, as G. Y. Zou and A. Donner combine limits of independent
parts (Construction of confidence limits about effect measures, Statistics in Medicine 27, 2008). With no difference
between instances the answer is exactly that of the Mann-Whitney test.
"""

from __future__ import annotations

import bisect
import math
import statistics
import typing as t

Paces = t.Mapping[str, t.Sequence[float]]
"""Logarithms of draw time per unit of work, by instance."""
THIN = 500
"""More values than that on a side are replaced by that many of their quantiles: fast, and exact to a thousandth."""
EXACT = 1e-4
"""How exactly a shift is found: a hundredth of a percent."""
PER_INSTANCE = 5
"""Values of an instance from which its own centre is taken."""
PROVEN = 0.95
NORMAL = statistics.NormalDist()
MAD_TO_SIGMA = 1.4826
MEDIAN_VARIANCE = math.pi / 2
"""Variance of a median over that of a mean, for normal values."""


def slowdown(ours: Paces, theirs: Paces) -> float:
    """Logarithm of the candidate's draw time over stable's; neither side may be empty."""
    return _shift_at(_pooled(ours), _pooled(theirs), 0.5)


def at_least(ours: Paces, theirs: Paces, level: float, spread: float) -> float:
    """Lower limit of the slowdown; minus infinity when there are too few values for the level.

    ``spread`` is the standard deviation that is allowed for between instances of one release.
    """
    left, right = _pooled(ours), _pooled(theirs)
    z = NORMAL.inv_cdf(1 - level)
    shift, limit = _shift_at(left, right, 0.5), _lower_limit(left, right, z, _count(ours), _count(theirs))
    if limit is None:
        return -math.inf
    instances = z * spread * math.sqrt(1 / _instances(ours) + 1 / _instances(theirs))
    return shift - math.hypot(shift - limit, instances)


def _count(paces: Paces) -> int:
    return sum(map(len, paces.values()))


def _instances(paces: Paces) -> float:
    """How many instances of equal weight the jobs are worth (Kish)."""
    return _count(paces) ** 2 / sum(len(values) ** 2 for values in paces.values())


def _pooled(paces: Paces) -> list[float]:
    values = sorted(value for of_instance in paces.values() for value in of_instance)
    if len(values) <= THIN:
        return values
    return [values[int((index + 0.5) * len(values) / THIN)] for index in range(THIN)]


def dominance(ours: t.Sequence[float], theirs: t.Sequence[float], shift: float = 0.0) -> float:
    """Share of pairs in which ours, less ``shift``, is greater; ties count half. Both sorted."""
    if len(ours) > len(theirs):
        return 1 - dominance(theirs, ours, -shift)
    twice, count = 0, len(theirs)
    for value in ours:
        below = bisect.bisect_left(theirs, value - shift)
        tied = below < count and theirs[below] == value - shift
        twice += below + (bisect.bisect_right(theirs, value - shift) if tied else below)
    return twice / (2 * len(ours) * count)


def _shift_at(ours: t.Sequence[float], theirs: t.Sequence[float], wanted: float) -> float:
    """The greatest shift at which ours still dominates by ``wanted``.

    By false position on the normal scale, where dominance is nearly a straight line; every third time by halving, for
    values that are all alike.
    """
    half_pair = 0.5 / (len(ours) * len(theirs))
    goal = NORMAL.inv_cdf(wanted)
    low, high = ours[0] - theirs[-1] - EXACT, ours[-1] - theirs[0] + EXACT
    above, below = NORMAL.inv_cdf(1 - half_pair) - goal, NORMAL.inv_cdf(half_pair) - goal
    turn = 0
    while high - low > EXACT:
        turn += 1
        straight = turn % 3 and above > 0
        middle = low + (high - low) * above / (above - below) if straight else (low + high) / 2
        share = min(max(dominance(ours, theirs, middle), half_pair), 1 - half_pair)
        gap = NORMAL.inv_cdf(share) - goal
        if gap >= 0:
            low, above, below = middle, gap, below / 2
        else:
            high, below, above = middle, gap, above / 2
    return low


def _lower_limit(
    ours: t.Sequence[float], theirs: t.Sequence[float], z: float, our_count: int, their_count: int
) -> float | None:
    """The shift that the one-sided Mann-Whitney test with normal approximation would just reject; None: it cannot."""
    deviation = math.sqrt((our_count + their_count + 1) / (12 * our_count * their_count))
    wanted = 0.5 + z * deviation
    return _shift_at(ours, theirs, wanted) if wanted < 1 else None


def proven_spread(paces: Paces) -> float:
    """What the instances of one side certainly differ by: a fleet of several instance types shows itself here."""
    measured = [values for values in paces.values() if len(values) >= PER_INSTANCE]
    if len(measured) < 3:
        return 0.0
    centres = [statistics.median(values) for values in measured]
    noise = statistics.fmean(MEDIAN_VARIANCE * _variance(values) / len(values) for values in measured)
    freedom = len(measured) - 1
    low = statistics.variance(centres) * freedom / chi_square(freedom)
    return math.sqrt(max(low - noise, 0.0))


def _variance(values: t.Sequence[float]) -> float:
    centre = statistics.median(values)
    return (MAD_TO_SIGMA * statistics.median(abs(value - centre) for value in values)) ** 2


def chi_square(freedom: int) -> float:
    """The quantile PROVEN, by Wilson and Hilferty's approximation (1931)."""
    ninth = 2 / (9 * freedom)
    return freedom * (1 - ninth + NORMAL.inv_cdf(PROVEN) * math.sqrt(ninth)) ** 3
