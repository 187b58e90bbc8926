"""The definition of a quantile that every report uses, and the values that it is taken of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from librt.vecs import vec
    from mypy_extensions import i64

#: Of so many values one is in the sample that tells about where a rank is.
STRIDE: Final = 31

#: Fewer values are sorted.
FEW: Final = 100 * STRIDE

#: Standard deviations of a rank's place in the sample within which it is looked for.
MARGIN: Final = 4.0


def quantile(values: Sequence[float], probability: float) -> float:
    """The type 7 quantile of ``values``, which are sorted and at least one.

    It interpolates linearly between order statistics (Hyndman and Fan's type 7, which
    `statistics.quantiles` calls ``inclusive``).
    """
    place = (len(values) - 1) * probability
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)


def quantiles(values: vec[float], probabilities: Sequence[float]) -> list[float]:
    """The same quantiles of values in any order, at least one and none of them NaN.

    Most of many values need not be sorted for that: a sample tells between which two values each
    quantile is, and those between them are sorted (the idea of R. W. Floyd and R. L. Rivest,
    Expected time bounds for selection, CACM 1975).
    """
    number: int = len(values)
    if number < FEW:
        ordered = sorted(values)
        return [quantile(ordered, probability) for probability in probabilities]
    sample = sorted([values[place] for place in range(0, number, STRIDE)])
    results: list[float] = []
    ordered = []
    for probability in probabilities:
        place = (number - 1) * probability
        in_sample = (len(sample) - 1) * probability
        margin = MARGIN * math.sqrt(len(sample) * probability * (1 - probability)) + 1
        first, last = int(in_sample - margin), int(in_sample + margin) + 1
        low = sample[first] if first >= 0 else -math.inf
        high = sample[last] if last < len(sample) else math.inf
        before, between = _between(values, low, high)
        below = int(place) - before
        above = min(below + 1, number - 1 - before)
        if below < 0 or above >= len(between):
            # The sample was an unlucky one.
            ordered = ordered or sorted(values)
            results.append(quantile(ordered, probability))
            continue
        between.sort()
        results.append(between[below] + (between[above] - between[below]) * (place - int(place)))
    return results


def _between(values: vec[float], low: float, high: float) -> tuple[int, list[float]]:
    """How many values are below ``low``, and those that are neither below nor above ``high``."""
    between: list[float] = []
    before: i64 = 0
    row: i64 = 0
    number = len(values)
    while row < number:
        value = values[row]
        row += 1
        if value < low:
            before += 1
        elif value <= high:
            between.append(value)
    return before, between
