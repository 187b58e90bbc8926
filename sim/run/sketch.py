"""Quantiles of a stream of times, in little memory and with a known error.

This is DDSketch (C. Masson, J. E. Rim, H. K. Lee: DDSketch, a fast and fully-mergeable quantile
sketch with relative-error guarantees, VLDB 2019), without the collapsing of buckets: times between
a nanosecond and a year fill fewer than 20,000.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from librt.vecs import vec
    from mypy_extensions import i64

#: How far a quantile is from the true one at most, as a part of that.
RELATIVE_ERROR: Final = 0.001

#: s below which a time is nothing.
NOTHING: Final = 1e-9

#: By how much the bounds of buckets grow, and buckets in which they grow by a factor of e.
_FACTOR: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_BUCKETS_PER_E: Final = 1 / math.log(_FACTOR)


class QuantileSketch:
    """Counts times in buckets whose bounds grow by a factor.

    State: ``count``, ``total`` and ``largest`` of the times, all exact but for rounding;
    ``_nothing`` (times below `NOTHING`), ``_buckets`` (times by bucket: those of bucket ``i`` are
    above ``factor ** (i - 1)`` and up to ``factor ** i`` s).
    """

    __slots__ = ("_buckets", "_nothing", "count", "largest", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.largest = 0.0
        self._nothing = 0
        self._buckets: dict[int, int] = {}

    def add(self, times: vec[float]) -> None:
        """Count ``times``, a column of s."""
        buckets, per_e = self._buckets, _BUCKETS_PER_E
        total, largest = self.total, self.largest
        number = len(times)
        self.count += number
        row: i64 = 0
        while row < number:
            time = times[row]
            row += 1
            if time > NOTHING:
                total += time
                if time > largest:  # noqa: PLR1730 - the call would cost more
                    largest = time
                bucket = math.ceil(math.log(time) * per_e)
                buckets[bucket] = buckets.get(bucket, 0) + 1
            else:
                self._nothing += 1
        self.total, self.largest = total, largest

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
                time = min(2 * _FACTOR**bucket / (1 + _FACTOR), self.largest)
            values.append(time)
        return values
