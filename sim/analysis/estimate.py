"""Estimates over replications: a mean and its confidence interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sim.analysis.theory import student_t_quantile

#: Confidence level of every interval.
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over replications.

    Attributes:
        value: the mean.
        low: lower end of its 95 % confidence interval, or None with a single replication.
        high: upper end, or None.
    """

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def half_width(self) -> float | None:
        """Half of the interval's width, the number after ``±``; None with a single replication."""
        return None if self.high is None else self.high - self.value

    @classmethod
    def of(cls, values: Sequence[float]) -> Estimate:
        """The estimate from one value a replication; at least one, all finite."""
        count = len(values)
        mean = math.fsum(values) / count
        if count == 1:
            return cls(mean)
        variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
        t = student_t_quantile((1 + CONFIDENCE) / 2, count - 1)
        half_width = t * math.sqrt(variance / count)
        return cls(mean, mean - half_width, mean + half_width)
