"""Which of our distributions comes closest to measured times, and how close that is.

A queue feels the mean, the spread and the tail of a demand. So the distance between times and a
distribution is that of their quantiles, in s: the area between the two (the Wasserstein distance).
It compares all kinds alike, those with two values too, where a Kolmogorov-Smirnov test can not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import NormalDist, fmean, pstdev

from sim.experiment.distribution import LARGEST, PARAMETERS, Distribution

#: Quantiles at which times and distribution are compared, at most.
QUANTILES = 1000

#: Samples of a distribution that tell how far chance alone takes one from it.
SAMPLES = 100

#: Part of those samples that must be farther away than the times are: a test at 5 %.
LEVEL = 0.05

#: Distance as a part of the mean up to which no queue feels the difference.
CLOSE = 0.02

#: A simpler distribution is taken if it is at most so many times as far away as the closest.
SIMPLER = 1.1

#: Variance of the logarithms up to which a log-normal is tried: its mean is e^10 times the median.
WIDEST = 20.0

#: Times below this are no demand: a clock's resolution, s.
NOTHING = 1e-6


@dataclass(frozen=True, slots=True)
class Fit:
    """One distribution beside the times that it was fitted to.

    Attributes:
        distribution: with its fitted parameters.
        distance: mean difference of the quantiles, s.
        chance: part of samples from the distribution itself, as large as the times, that are
            farther from it than the times are; 1 for a constant that all times have.
        quantiles: of the times and of the distribution, s, at evenly spaced places.
    """

    distribution: Distribution
    distance: float
    chance: float
    quantiles: tuple[tuple[float, float], ...]

    @property
    def relative(self) -> float:
        """The distance as a part of the mean."""
        mean = self.distribution.mean
        return self.distance / mean if mean > 0 else 0.0

    @property
    def fits(self) -> bool:
        """Whether chance may explain the distance, or no queue feels it."""
        return self.chance >= LEVEL or self.relative <= CLOSE


def best_fit(times: Sequence[float], seed: int = 1) -> Fit:
    """The closest distribution to ``times``, or a simpler one that is about as close.

    Args:
        times: s, at least one.
        seed: of the samples that chance is judged by.
    """
    ordered = sorted(times)
    places = _places(len(ordered))
    quantiles = [_quantile(ordered, place) for place in places]
    fits = []
    for distribution in _candidates(ordered):
        quantile = quantile_of(distribution)
        expected = [quantile(place) for place in places]
        fits.append((_distance(quantiles, expected), distribution, expected))
    closest = min(distance for distance, *_ in fits)
    near = [each for each in fits if each[0] <= max(SIMPLER * closest, NOTHING)]
    distance, distribution, expected = min(near, key=lambda each: len(PARAMETERS[each[1].kind]))
    chance = _chance(distribution, len(ordered), distance, places, seed)
    return Fit(distribution, distance, chance, tuple(zip(quantiles, expected, strict=True)))


def _candidates(ordered: Sequence[float]) -> list[Distribution]:
    """Each kind with the parameters that the times give it."""
    low, high, mean = ordered[0], ordered[-1], fmean(ordered)
    if high < NOTHING:
        return [Distribution("const", (0.0,))]
    candidates = [
        Distribution("const", (_rounded(_quantile(ordered, 0.5)),)),
        Distribution("exp", (_rounded(mean),)),
        Distribution("uniform", (_rounded(low), _rounded(high))),
        _two_values(ordered),
    ]
    spread = pstdev(ordered, mean) / mean
    candidates.append(Distribution("lognorm", (_rounded(mean), _rounded(spread))))
    if low >= NOTHING:
        # The most likely one; above, that of the same mean and spread: their tails differ.
        logs = [math.log(time) for time in ordered]
        variance = pstdev(logs) ** 2
        if variance <= WIDEST:
            likely = _rounded(math.exp(fmean(logs) + variance / 2))
            cv = _rounded(math.sqrt(math.expm1(variance)))
            # A few long times may tell of a mean that no experiment may have.
            if max(likely, cv) <= LARGEST:
                candidates.append(Distribution("lognorm", (likely, cv)))
    return candidates


def _two_values(ordered: Sequence[float]) -> Distribution:
    """The two groups of times with the least spread within (Otsu's threshold), and their means."""
    total, count = math.fsum(ordered), len(ordered)
    best, cut, below, sum_below = -1.0, 1, 0.0, 0.0
    for number, time in enumerate(ordered[:-1], start=1):
        below += time
        means = below / number, (total - below) / (count - number)
        between = number * (count - number) * (means[1] - means[0]) ** 2
        if between > best:
            best, cut, sum_below = between, number, below
    if best < 0:
        return Distribution("bimodal", (1.0, _rounded(ordered[0]), _rounded(ordered[0])))
    low, high = sum_below / cut, (total - sum_below) / (count - cut)
    return Distribution("bimodal", (_rounded(cut / count), _rounded(low), _rounded(high)))


def quantile_of(distribution: Distribution) -> Callable[[float], float]:
    """The quantile function of a distribution: from (0, 1) to s."""
    p = distribution.parameters
    match distribution.kind:
        case "exp":
            return lambda place: -p[0] * math.log1p(-place)
        case "uniform":
            return lambda place: p[0] + place * (p[1] - p[0])
        case "lognorm" if p[0] > 0 and p[1] > 0:
            sigma = math.sqrt(math.log1p(p[1] ** 2))
            normal = NormalDist(math.log(p[0]) - sigma**2 / 2, sigma)
            return lambda place: math.exp(normal.inv_cdf(place))
        case "bimodal":
            low, high = sorted(p[1:])
            share = p[0] if p[1] <= p[2] else 1 - p[0]
            return lambda place: low if place < share else high
        case _:
            return lambda _: p[0]


def _chance(
    distribution: Distribution, size: int, distance: float, places: Sequence[float], seed: int
) -> float:
    """Part of samples from the distribution that are as far from it as the times are."""
    if distance <= NOTHING:
        return 1.0
    draw = distribution.sampler(Random(seed))
    quantile = quantile_of(distribution)
    expected = [quantile(place) for place in places]
    farther = 0
    drawn = min(size, QUANTILES)
    for _ in range(SAMPLES):
        ordered = sorted(draw() for _ in range(drawn))
        far = _distance([_quantile(ordered, place) for place in places], expected)
        # A sample of fewer is farther away, by the root of how many fewer.
        farther += far * math.sqrt(drawn / size) >= distance
    return farther / SAMPLES


def _places(size: int) -> list[float]:
    number = min(size, QUANTILES)
    return [(place + 0.5) / number for place in range(number)]


def _quantile(ordered: Sequence[float], place: float) -> float:
    return ordered[min(len(ordered) - 1, int(place * len(ordered)))]


def _distance(quantiles: Sequence[float], expected: Sequence[float]) -> float:
    return fmean(abs(one - other) for one, other in zip(quantiles, expected, strict=True))


def _rounded(value: float) -> float:
    """To the digits that a file needs."""
    return float(f"{value:.4g}")
