"""The whole distribution of the latency, beside that of one ideal queue: more than six numbers.

Quantiles are taken in each replication and then averaged, as `sim.analysis.summary.Times` has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from sim.analysis.ideal import ideal
from sim.analysis.quantile import quantile
from sim.analysis.sample import threads_of
from sim.run import OK, Requests, Run

#: Shares of the requests, in order, and the latencies below which they stay.
Points = tuple[tuple[float, float], ...]

#: Decades of the share of requests that take longer: to one in 1,000.
DECADES = 3

#: Points of a curve in each decade.
POINTS = 20

#: Shares of the requests, evenly spaced in the logarithm of the share that takes longer.
PROBABILITIES = tuple(1 - 10 ** (-step / POINTS) for step in range(DECADES * POINTS + 1))

#: One request, but for the rounding of a share.
ONE = 1 - 1e-9


@dataclass(frozen=True, slots=True)
class LatencyCurve:
    """Latencies below which each share of the requests stays.

    Attributes:
        latency: (share, s) of the requests answered ``ok``, by share; of fewer than 1,000 requests
            the last share is that of one request.
        ideal: the same of one ideal shared queue, over all requests.
    """

    latency: Points
    ideal: Points


def curve_of(run: Run) -> LatencyCurve:
    """The curve of one replication."""
    if run.tally is not None:
        return LatencyCurve(
            *(
                _points(sketch.count, sketch.quantiles)
                for sketch in (run.tally.latency, run.tally.ideal_latency)
            )
        )
    perfect = ideal(run.requests, threads_of(run.experiment)).latency
    return LatencyCurve(_of(_answered(run.requests)), _of(perfect))


def combined_curves(curves: Iterable[LatencyCurve]) -> LatencyCurve:
    """Means over the replications, at least one, of the shares that all of them have."""
    known = list(curves)
    return LatencyCurve(
        _means([curve.latency for curve in known]), _means([curve.ideal for curve in known])
    )


def _answered(requests: Requests) -> list[float]:
    """The latency of each request that was answered ``ok``, s."""
    return [
        finished - arrival
        for arrival, finished, outcome in zip(
            requests.arrival, requests.finished, requests.outcome, strict=True
        )
        if outcome == OK
    ]


def _of(times: Iterable[float]) -> Points:
    ordered = sorted(times)
    return _points(len(ordered), lambda shares: [quantile(ordered, share) for share in shares])


def _points(count: int, quantiles: Callable[[tuple[float, ...]], Sequence[float]]) -> Points:
    """A point for each share up to that of all requests but one."""
    shares = tuple(share for share in PROBABILITIES if (1 - share) * count >= ONE)
    return tuple(zip(shares, quantiles(shares), strict=True)) if shares else ()


def _means(curves: Sequence[Points]) -> Points:
    return tuple(
        (points[0][0], fmean(latency for _, latency in points))
        for points in zip(*curves, strict=False)
    )
