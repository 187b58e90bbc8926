"""Quantiles of a stream of times, in little memory and with a known error.

This is DDSketch (C. Masson, J. E. Rim, H. K. Lee: DDSketch, a fast and fully-mergeable quantile
sketch with relative-error guarantees, VLDB 2019), without the collapsing of buckets: times between
a nanosecond and a year fill fewer than 20,000.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from itertools import accumulate, repeat
from operator import mul

#: How far a quantile is from the true one at most, as a part of that.
RELATIVE_ERROR = 0.001

#: s below which a time is nothing.
NOTHING = 1e-9


def added(total: float, values: Iterable[float]) -> float:
    """``total`` and all ``values``, added one after the other.

    `sum` rounds in another way from Python 3.12 on.
    """
    return deque(accumulate(values, initial=total), maxlen=1)[0]


class QuantileSketch:
    """Counts times in buckets whose bounds grow by a factor.

    Times are added by the block, in loops of C: one at a time they cost three times as much.

    State: ``count``, ``total`` and ``largest`` of the times, all exact but for rounding;
    ``_nothing`` (times below `NOTHING`), ``_buckets`` (times by bucket: those of bucket ``i`` are
    above ``factor ** (i - 1)`` and up to ``factor ** i`` s).
    """

    __slots__ = ("_buckets", "_nothing", "count", "largest", "total")

    _FACTOR = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
    _BUCKETS_PER_E = 1 / math.log(_FACTOR)

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.largest = 0.0
        self._nothing = 0
        self._buckets: Counter[int] = Counter()

    def add(self, times: Sequence[float]) -> None:
        """Count ``times``, s."""
        self.count += len(times)
        long = [time for time in times if time > NOTHING]
        self._nothing += len(times) - len(long)
        if not long:
            return
        self.total = added(self.total, long)
        self.largest = max(self.largest, *long)
        buckets = map(math.ceil, map(mul, map(math.log, long), repeat(self._BUCKETS_PER_E)))
        self._buckets.update(buckets)

    def quantiles(self, probabilities: tuple[float, ...]) -> tuple[float, ...]:
        """The type 7 quantiles (see `sim.analysis.quantile`), s, each within `RELATIVE_ERROR`.

        Args:
            probabilities: in order.

        Raises:
            ValueError: when nothing was counted.
        """
        if not self.count:
            raise ValueError("there are no times; expected at least one")
        places = [(self.count - 1) * probability for probability in probabilities]
        ranks = sorted({rank for place in places for rank in (int(place), math.ceil(place))})
        values = dict(zip(ranks, self._of_ranks(ranks), strict=True))
        return tuple(
            values[int(place)]
            + (values[math.ceil(place)] - values[int(place)]) * (place - int(place))
            for place in places
        )

    def _of_ranks(self, ranks: list[int]) -> list[float]:
        """The times of ``ranks``, which are in order, from 0."""
        values: list[float] = []
        buckets = iter(sorted(self._buckets.items()))
        time, seen = 0.0, self._nothing
        for rank in ranks:
            while rank >= seen:
                bucket, times = next(buckets)
                seen += times
                # The middle of the bucket, as relative errors have it.
                time = min(2 * self._FACTOR**bucket / (1 + self._FACTOR), self.largest)
            values.append(time)
        return values
