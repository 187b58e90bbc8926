"""The mutation score: the share of mutants that a test kills, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

#: Of the interval.
CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Score:
    """What became of the mutants of a package.

    Attributes:
        killed: number that a test failed for.
        hung: number that were ended because the tests took far longer than without the fault; they
            count as killed.
        survived: number that all tests passed with.
        equivalent: number that behave as the source does; they do not count.
    """

    killed: int = 0
    hung: int = 0
    survived: int = 0
    equivalent: int = 0

    @property
    def tried(self) -> int:
        """Mutants that count."""
        return self.killed + self.hung + self.survived

    @property
    def share(self) -> float:
        """Killed share of those that count; NaN of none."""
        return (self.killed + self.hung) / self.tried if self.tried else math.nan

    def interval(self) -> tuple[float, float]:
        """Wilson's score interval (1927) of the share; (0, 1) of no mutants."""
        n = self.tried
        if n == 0:
            return 0.0, 1.0
        z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
        centre = (self.share + z * z / (2 * n)) / (1 + z * z / n)
        spread = self.share * (1 - self.share) / n + z * z / (4 * n * n)
        half = z / (1 + z * z / n) * math.sqrt(spread)
        return max(0.0, centre - half), min(1.0, centre + half)


def score(outcomes: Iterable[str]) -> Score:
    """The score of outcomes, each the name of an attribute of `Score`."""
    found = [*outcomes]
    return Score(*(found.count(name) for name in ("killed", "hung", "survived", "equivalent")))
