"""The rank-sum test: whether repeats of a measurement could be draws of the predicted distribution.

The null hypothesis: the model is off by an error of at most a stated tolerance, the same in all
repeats. Without that error a repeat is exchangeable with the variants of the prediction, so it is
as likely to have any rank among them. To reject that on one side, the repeats are moved by the
whole tolerance towards the other; an error within the tolerance makes an alarm only less likely.

The distribution of the sum of ranks is exact. The number of ways to reach a sum is a coefficient of
the Gaussian binomial coefficient. See Mann and Whitney, "On a Test of Whether one of Two Random
Variables is Stochastically Larger than the Other", Annals of Mathematical Statistics 18 (1947),
section 3. So under the null hypothesis a p-value of p or less has a probability of p at most.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import cache


def p_value(repeats: Sequence[float], variants: Sequence[float], tolerance: float) -> float:
    """Probability that draws of the prediction are as much larger, or smaller, as the repeats.

    Args:
        repeats: measured values, at least one.
        variants: predicted values, at least one.
        tolerance: error of the model that is allowed, in the unit of the values.
    """
    larger = p_larger([value - tolerance for value in repeats], variants)
    smaller = p_larger([-value - tolerance for value in repeats], [-value for value in variants])
    return min(1.0, 2 * min(larger, smaller))


def p_larger(repeats: Sequence[float], variants: Sequence[float]) -> float:
    """Probability that draws of the prediction are as large as the repeats, or larger."""
    ordered = sorted(variants)
    # Mann and Whitney's U: pairs in which the repeat is smaller. A tie counts half; half a pair is
    # rounded up, which makes an alarm less likely.
    pairs = sum(
        len(ordered) - (bisect_left(ordered, value) + bisect_right(ordered, value)) / 2
        for value in repeats
    )
    ways = sum(_ways(len(repeats), len(ordered))[: math.ceil(pairs) + 1])
    return ways / math.comb(len(repeats) + len(ordered), len(repeats))


def least_p_value(repeats: int, variants: int) -> float:
    """Smallest `p_value` of so many repeats and variants, and twice the smallest `p_larger`.

    A test with a smaller limit cannot fail.
    """
    return min(1.0, 2 / math.comb(repeats + variants, repeats))


@cache
def _ways(repeats: int, variants: int) -> tuple[int, ...]:
    """Orders of all values by U: coefficients of the Gaussian binomial coefficient."""
    ways = [1] + [0] * (repeats * variants)
    for number in range(1, repeats + 1):
        for place in range(len(ways) - 1, variants + number - 1, -1):
            ways[place] -= ways[place - variants - number]
        for place in range(number, len(ways)):
            ways[place] += ways[place - number]
    return tuple(ways)
