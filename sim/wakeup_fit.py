"""What a host's shares of the accepts say about its scheduler: `sim.model.wakeup`, backwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, product
from math import log

from sim.costs import Costs
from sim.model.wakeup import rested, winning_probabilities

#: The three that shares at low load depend on; ``wake_warm`` shows under load only.
FITTED = ("wake_alone", "wake_queued", "wake_overtake")

#: Steps of the search: all of the cube, then around the best of it.
COARSE, FINE = 0.05, 0.01

#: Of the gaps between connections, over which the chances are averaged.
QUANTILES = 6


def predicted_shares(workers: int, cores: int, costs: Costs, rate: float) -> tuple[float, ...]:
    """Share of the connections of each worker, by boot order, where all of them always sleep.

    Args:
        workers: gthread workers, at least 1.
        cores: of the host, all of them idle when a connection comes.
        costs: its ``wake_*``.
        rate: connections / s, whose gaps are exponential.
    """
    shares = [0.0] * workers
    for quantile in range(QUANTILES):
        gap = -log((quantile + 0.5) / QUANTILES) / rate
        cumulative = winning_probabilities(workers, cores, costs, rest=rested(gap, 1 / rate))
        # The worker that registered last is woken first.
        for place, (before, after) in enumerate(pairwise((0.0, *cumulative))):
            shares[workers - 1 - place] += (after - before) / QUANTILES
    return tuple(shares)


def fit(
    shares: Mapping[int, Sequence[float]], cores: int, base: Costs, rate: float
) -> dict[str, float]:
    """The `FITTED` costs that are nearest to measured shares, by the sum of squared differences.

    Args:
        shares: measured at low load, by boot order, by number of workers; each sums to 1.
        cores: of the host.
        base: the costs besides.
        rate: of those connections, 1/s.
    """

    def distance(values: Iterable[float]) -> float:
        costs = replace(base, **dict(zip(FITTED, values, strict=True)))
        return sum(
            (ours - theirs) ** 2
            for workers, measured in shares.items()
            for ours, theirs in zip(
                predicted_shares(workers, cores, costs, rate), measured, strict=True
            )
        )

    steps = [number * COARSE for number in range(round(1 / COARSE) + 1)]
    best = min(product(steps, repeat=len(FITTED)), key=distance)
    near = range(-round(COARSE / FINE), round(COARSE / FINE) + 1)
    around = [
        [min(1.0, max(0.0, round(value + FINE * step, 6))) for step in near] for value in best
    ]
    return dict(zip(FITTED, min(product(*around), key=distance), strict=True))
