"""The quantile that all numbers here are."""

from __future__ import annotations

from collections.abc import Sequence


def quantile(values: Sequence[float], probability: float) -> float:
    """The type 7 quantile of ``values``, which are sorted and at least one.

    It interpolates linearly between order statistics (Hyndman and Fan's type 7, which
    `statistics.quantiles` calls ``inclusive``).
    """
    place = (len(values) - 1) * probability
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)
