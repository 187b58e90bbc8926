"""A rank test: whether a measured run is one that the model could have predicted.

The null hypothesis: apart from an error within the model's stated tolerance, the measured run is
exchangeable with predictions of the same requests by other seeds of the server's randomness and
by costs drawn from the calibrated ones (`host_costs.drawn`). So it is as likely to have any rank
among them as they are.

Many statistics of a run are judged by one number, so their number does not matter. `LEARNT`
predictions say where each statistic lies and how widely it scatters. The *surprise* of a run is
the largest of its distances from there, in units of that scatter. The surprise of a measurement
is ranked among those of `RANKED` further predictions. This is split conformal inference; Lei et
al., "Distribution-Free Predictive Inference for Regression", JASA 113 (2018), section 2.2.

False alarms: a measurement fails a look if its surprise exceeds that of all `RANKED` predictions.
Tests look again, up to `LOOKS` times, and fail if every look fails. Under the null hypothesis the
`LOOKS` most surprising of `RANKED` + `LOOKS` runs are then the measured ones, which happens once
in comb(90, 3) = 117,480 times. All tests that use it, at most 100, together raise a false alarm in
less than 1 of 1,000 sessions, by Bonferroni. Where many servers are measured together they disturb
each other, so a look at these comes before the `LOOKS` that count; it can only save them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import comb
from statistics import median
from typing import Generic, TypeVar

Seen = TypeVar("Seen")

#: Predictions that say how each statistic scatters, those that a measurement is ranked among, and
#: both.
LEARNT, RANKED = 30, 87
VARIANTS = LEARNT + RANKED

#: Measurements that must all fail.
LOOKS = 3

#: Of one test, under the null hypothesis.
FALSE_ALARM = 1 / comb(RANKED + LOOKS, LOOKS)

#: Least scatter, as a part of the tolerance: where the model always predicts the same, a
#: measurement far outside of the tolerance is the more surprising the further it is.
_LEAST_SCATTER = 0.1


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is judged of one run, by name.

    Attributes:
        counts: where a name is missing, nothing happened: 0.
        values: where a name is missing, the run does not have that value, and it is not judged.
    """

    counts: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)


#: By how much a statistic, given its name and the median prediction, may be off by the model's
#: own error.
Tolerance = Callable[[str, float], float]


@dataclass(frozen=True, slots=True)
class Criterion(Generic[Seen]):
    """What is judged of a run, or of what else is seen, and the model's target for it."""

    statistics: Callable[[Seen], Statistics]
    tolerance: Tolerance


@dataclass(frozen=True, slots=True)
class _Scatter:
    """Where the learnt predictions of one statistic are, from the lowest to the highest."""

    low: float
    middle: float
    high: float

    def distance(self, value: float, tolerance: float, allowance: float) -> float:
        """How far ``value`` is from the middle beyond ``allowance``, in units of the scatter."""
        excess = abs(value - self.middle) - allowance
        if excess <= 0:
            return 0.0
        half = self.high - self.middle if value > self.middle else self.middle - self.low
        scatter = max(half, _LEAST_SCATTER * tolerance)
        return excess / scatter if scatter > 0 else math.inf


class RankTest:
    """Ranks measurements of one experiment among its predictions.

    Args:
        predicted: statistics of each variant, `VARIANTS` of them, in random order.
        tolerance: the model's target for each statistic.
    """

    def __init__(self, predicted: Sequence[Statistics], tolerance: Tolerance) -> None:
        if len(predicted) != VARIANTS:
            msg = f"{len(predicted)} predictions; expected {VARIANTS}"
            raise ValueError(msg)
        self._tolerance = tolerance
        learnt = predicted[:LEARNT]
        self._counts = {
            name: _scatter([each.counts.get(name, 0) for each in learnt])
            for name in {name for each in learnt for name in each.counts}
        }
        values: defaultdict[str, list[float]] = defaultdict(list)
        for each in learnt:
            for name, value in each.values.items():
                values[name].append(value)
        self._values = {name: _scatter(known) for name, known in values.items()}
        self._ranked = [
            max(self._distances(each, measured=False).values(), default=0.0)
            for each in predicted[LEARNT:]
        ]

    def complaint(self, measured: Statistics) -> str | None:
        """The most surprising statistic, if the run surprises more than every prediction."""
        distances = self._distances(measured, measured=True)
        name = max(distances, key=lambda name: distances[name], default=None)
        if name is None or distances[name] <= max(self._ranked):
            return None
        scatter = self._counts.get(name) or self._values.get(name)
        value = measured.counts.get(name, measured.values.get(name, 0))
        expected = (
            "which no prediction has"
            if scatter is None
            else f"predicted {scatter.low:.4g} to {scatter.high:.4g}, median {scatter.middle:.4g}"
        )
        return (
            f"{name}: {value:.4g}, {expected}; surprise {distances[name]:.3g}, "
            f"of {RANKED} predictions at most {max(self._ranked):.3g}"
        )

    def _distances(self, run: Statistics, *, measured: bool) -> dict[str, float]:
        """The distance of each statistic; only a measurement has the model's error in it."""
        nowhere = _Scatter(0, 0, 0)
        found = [
            *(
                (name, run.counts.get(name, 0), self._counts.get(name, nowhere))
                for name in {*self._counts, *run.counts}
            ),
            *((name, value, self._values.get(name)) for name, value in run.values.items()),
        ]
        distances = {}
        for name, value, scatter in found:
            if scatter is None:
                distances[name] = math.inf
                continue
            tolerance = self._tolerance(name, scatter.middle)
            allowance = tolerance if measured else 0.0
            distances[name] = scatter.distance(value, tolerance, allowance)
        return distances


def _scatter(values: Sequence[float]) -> _Scatter:
    return _Scatter(min(values), median(values), max(values))
