"""The definition of a quantile that every report uses, and the values that it is taken of."""

from __future__ import annotations

import math
from collections.abc import Sequence


def known(values: Sequence[float]) -> Sequence[float]:
    """The ``values`` that are not NaN, in their order."""
    # A sum is NaN if one of them is. Most runs have none, and are not looked at one by one.
    if not math.isnan(sum(values)):
        return values
    return [value for value in values if not math.isnan(value)]


def quantile(values: Sequence[float], probability: float) -> float:
    """The type 7 quantile of ``values``, which are sorted and at least one.

    It interpolates linearly between order statistics (Hyndman and Fan's type 7, which
    `statistics.quantiles` calls ``inclusive``).
    """
    place = (len(values) - 1) * probability
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)
